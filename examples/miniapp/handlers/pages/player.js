// The mini program. Everything but the page itself is as in a mini program: wx comes from the simulated WeChat, and request is
// wx.request with the token in the header.
(function () {
  "use strict";

  var session = { token: "", initial: true }, order = null, avatar = "";

  function at(id) { return document.getElementById(id); }
  function say(text) { at("said").textContent = text; }

  // request returns a promise of data, and fails with the words of a refusal.
  function request(method, url, body) {
    var options = { method: method, headers: { "Content-Type": "application/json" } };
    if (session.token) options.headers.token = session.token;
    if (body) options.body = JSON.stringify(body);
    return fetch(url, options).then(function (r) { return r.json(); }).then(function (r) {
      if (r.msg) throw new Error(r.msg);
      return r.data;
    });
  }

  function fail(e) { say(e.message || String(e)); }

  // keep splits <token>_<flag> as the old clients do.
  function keep(data) {
    session.token = data.split("_")[0];
    session.initial = data.split("_")[1] === "1";
  }

  function show() {
    return request("GET", "/app/miniapp/user").then(function (a) {
      at("user-name").textContent = a.user_name;
      at("phone-number").textContent = a.phone || "未绑定";
      at("shown-nickname").textContent = a.nickname;
      at("points").textContent = a.points;
      at("avatar").hidden = !a.avatar;
      if (a.avatar) at("avatar").src = a.avatar;
      at("account").hidden = at("inside").hidden = false;
    });
  }

  at("login").onclick = function () {
    wx.login({
      success: function (r) {
        request("POST", "/wechat-miniapp/sign/default", { jsCode: r.code }).then(function (data) {
          keep(data);
          return show();
        }).then(shop).then(function () { say(session.initial ? "已登录，请绑定手机号" : "已登录"); }).catch(fail);
      },
      fail: function (r) { say(r.errMsg); }
    });
  };

  function bind(body) {
    request("PUT", "/app/miniapp/update-phone", body).then(function (data) {
      keep(data);
      return show();
    }).then(function () { say("手机号已绑定"); }).catch(fail);
  }

  at("phone").addEventListener("getphonenumber", function (e) {
    if (!e.detail.code) return say(e.detail.errMsg);
    bind({ code: e.detail.code });
  });

  at("old-phone").addEventListener("getphonenumber", function (e) {
    if (!e.detail.encryptedData) return say(e.detail.errMsg);
    bind({ encryptedData: e.detail.encryptedData, iv: e.detail.iv });
  });

  // A mini program reads the temporary file with wx.getFileSystemManager().readFile({encoding: "base64"}).
  at("choose-avatar").addEventListener("chooseavatar", function (e) {
    fetch(e.detail.avatarUrl).then(function (r) { return r.blob(); }).then(function (file) {
      var reader = new FileReader();
      reader.onload = function () {
        avatar = reader.result;
        say("头像已选择，请保存");
      };
      reader.readAsDataURL(file);
    }).catch(fail);
  });

  at("save").onclick = function () {
    request("PUT", "/wechat/app/miniapp/user/update-info", { nickname: at("nickname").value, avatar: avatar })
      .then(show).then(function () { say("资料已保存"); }).catch(fail);
  };

  var product = null;

  function shop() {
    return request("GET", "/app/miniapp/products").then(function (list) {
      product = list[0];
      at("price").textContent = (product.fen / 100).toFixed(2);
      at("shop").hidden = false;
      at("subscribe").hidden = !document.body.dataset.template;
    }).catch(function () {}); // pay is not active
  }

  var states = { open: "待支付", paid: "已支付", closed: "已取消" };

  function showOrder(o) {
    at("order").dataset.number = o.out_trade_no;
    at("order").dataset.state = o.state;
    at("order").textContent = o.out_trade_no + " " + states[o.state];
    at("pay").disabled = at("cancel").disabled = o.state !== "open";
    return o;
  }

  at("buy").onclick = function () {
    request("POST", "/app/miniapp/pay/orders", { product_id: product.id }).then(function (data) {
      order = data;
      showOrder(data.order);
      say("已下单");
    }).catch(fail);
  };

  // The answer of wx.requestPayment proves nothing: the order is asked for until the server has WeChat's notification.
  at("pay").onclick = function () {
    wx.requestPayment(Object.assign({}, order.params, {
      success: function () { wait(10); },
      fail: function (r) { say(r.errMsg); }
    }));
  };

  function wait(times) {
    request("GET", "/app/miniapp/pay/orders/" + order.order.out_trade_no + "?wait=20").then(showOrder).then(function (o) {
      if (o.state === "open" && times > 0) return wait(times - 1);
      return show().then(function () { say("订单" + states[o.state]); });
    }).catch(fail);
  }

  at("cancel").onclick = function () {
    request("POST", "/app/miniapp/pay/orders/" + order.order.out_trade_no + "/cancel").then(showOrder)
      .then(function (o) { say("订单" + states[o.state]); }).catch(fail);
  };

  at("subscribe").onclick = function () {
    wx.requestSubscribeMessage({
      tmplIds: [document.body.dataset.template],
      success: function (r) { say(r[document.body.dataset.template] === "accept" ? "已订阅一次" : "未订阅"); },
      fail: function (r) { say(r.errMsg); }
    });
  };
})();
