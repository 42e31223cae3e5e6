// This script gives a page the payments of the simulated phone: WeixinJSBridge, wx.chooseWXPay and, as in a mini program,
// wx.requestPayment. It covers the page with the phone's sheet. Load it after WeChat's own script.
(function () {
  "use strict";

  var script = document.currentScript, home = new URL("/phone/pay/", script.src).href;

  // pay calls done with "ok", "cancel" or "fail", and why it failed.
  function pay(params, done) {
    var frame = document.createElement("iframe");
    fetch(home + "call", { method: "POST", body: JSON.stringify({ params: params, page: location.href.split("#")[0] }) })
      .then(function (r) { return r.json(); })
      .then(function (r) {
        if (!r.sheet) return ["fail", r.err_desc];
        frame.id = "paytest-sheet";
        frame.title = "WeChat Pay";
        frame.style.cssText = "position:fixed;inset:0;width:100%;height:100%;border:0;background:#fff;z-index:2147483647";
        frame.src = home + "sheet/" + r.sheet;
        document.body.appendChild(frame);
        return wait(r.sheet).then(function (state) { return [{ paid: "ok", cancelled: "cancel" }[state] || "fail", state]; });
      })
      .catch(function (e) { return ["fail", String(e)]; })
      .then(function (end) {
        frame.remove();
        done(end[0], end[1]);
      });
  }

  function wait(sheet) {
    return fetch(home + "call/" + sheet)
      .then(function (r) { return r.json(); })
      .then(function (r) { return r.state === "open" || r.state === "waiting" ? wait(sheet) : r.state; });
  }

  function finish(o, name, outcome, why) {
    var result = { errMsg: name + ":" + outcome };
    if (outcome === "fail") result.errMsg += ", " + why;
    if (outcome === "ok" && o.success) o.success(result);
    if (outcome === "cancel" && o.cancel) o.cancel(result);
    if (/^fail/.test(outcome) && o.fail) o.fail(result);
    if (o.complete) o.complete(result);
  }

  window.WeixinJSBridge = {
    invoke: function (name, params, callback) {
      if (name !== "getBrandWCPayRequest") return callback({ err_msg: name + ":fail, the function is not simulated" });
      pay(params, function (outcome, why) {
        var result = { err_msg: "get_brand_wcpay_request:" + outcome };
        if (outcome === "fail") result.err_desc = why;
        callback(result);
      });
    },
    call: function () {},
    on: function () {}
  };

  var wx = window.wx = window.wx || {}, may = wx.chooseWXPay;

  function called(o) { // its timestamp has no capital letter, but is signed with one
    return {
      appId: o.appId || wx.appId || script.dataset.appid, timeStamp: o.timeStamp || o.timestamp, nonceStr: o.nonceStr,
      package: o.package, signType: o.signType, paySign: o.paySign
    };
  }

  wx.chooseWXPay = function (o) {
    function go() { pay(called(o), function (outcome, why) { finish(o, "chooseWXPay", outcome, why); }); }
    if (may) may({ success: go, fail: o.fail, complete: function (r) { if (!/:ok$/.test(r.errMsg) && o.complete) o.complete(r); } });
    else go();
  };
  wx.requestPayment = function (o) {
    pay(called(o), function (outcome, why) { finish(o, "requestPayment", outcome === "cancel" ? "fail cancel" : outcome, why); });
  };

  document.dispatchEvent(new Event("WeixinJSBridgeReady"));
})();
