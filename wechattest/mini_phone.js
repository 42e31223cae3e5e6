// This script gives a web page the part of the mini program's wx that needs a person and a phone. Load it with the appid and,
// unless the person who browses is meant, a person:
//
//   <script src="http://127.0.0.1:8099/phone/mini/wx.js" data-appid="wx1" data-person="ming"></script>
//
// It adds wx.login and wx.requestSubscribeMessage, and makes buttons work that have the attribute open-type: getPhoneNumber
// and chooseAvatar send the page the event of the same name in small letters, with the detail that a mini program gets. The
// person answers on a sheet over the page. For wx.requestPayment load the script of the simulated WeChat Pay.
(function () {
  "use strict";

  var script = document.currentScript, home = new URL("call", script.src).href;

  // call asks the Server, and returns a promise of the result.
  function call(name, more) {
    var query = new URLSearchParams(more || []);
    query.append("call", name);
    query.append("app", script.dataset.appid || "");
    query.append("person", script.dataset.person || "");
    return fetch(home + "?" + query, { method: "POST" })
      .then(function (r) { return r.json(); })
      .then(function (r) { return r.error ? { errMsg: name + ":fail " + r.error } : r; })
      .catch(function (e) { return { errMsg: name + ":fail " + e }; });
  }

  // ask shows the sheet with a question, and returns a promise of whether the person allows it.
  function ask(question) {
    return new Promise(function (answer) {
      var sheet = document.createElement("div"), text = document.createElement("p");
      sheet.id = "wechattest-sheet";
      sheet.setAttribute("role", "dialog");
      sheet.style.cssText = "position:fixed;left:0;right:0;bottom:0;padding:24px;background:#fff;color:#222;border-top:1px solid #ccc;text-align:center;z-index:2147483647";
      text.textContent = question;
      sheet.appendChild(text);
      [["wechattest-allow", "允许 Allow", true], ["wechattest-deny", "拒绝 Deny", false]].forEach(function (b) {
        var button = document.createElement("button");
        button.type = "button";
        button.id = b[0];
        button.textContent = b[1];
        button.style.cssText = "margin:0 8px;padding:8px 24px";
        button.onclick = function () { sheet.remove(); answer(b[2]); };
        sheet.appendChild(button);
      });
      document.body.appendChild(sheet);
    });
  }

  function finish(o, result) {
    if (/:ok$/.test(result.errMsg)) { if (o.success) o.success(result); } else if (o.fail) o.fail(result);
    if (o.complete) o.complete(result);
  }

  var wx = window.wx = window.wx || {};

  wx.login = function (o) { call("login").then(function (r) { finish(o || {}, r); }); };

  wx.requestSubscribeMessage = function (o) {
    var ids = o.tmplIds || [];
    var asked = ids.reduce(function (before, id) {
      return before.then(function (pairs) {
        return ask("允许发送一次订阅消息 " + id + "？ Allow one message?").then(function (yes) {
          return pairs.concat([["template", id], ["answer", yes ? "accept" : "reject"]]);
        });
      });
    }, Promise.resolve([]));
    asked.then(function (pairs) { return call("requestSubscribeMessage", pairs); }).then(function (r) { finish(o, r); });
  };

  // openTypes return a promise of the detail of a button's event.
  var openTypes = {
    getPhoneNumber: function () {
      return ask("申请获取并验证你的手机号 May the mini program have your phone number?").then(function (yes) {
        return yes ? call("getPhoneNumber") : { errMsg: "getPhoneNumber:fail user deny" };
      });
    },
    chooseAvatar: function () { // a temporary file, as on a phone
      return new Promise(function (done) {
        var picture = document.createElement("canvas"), pen = picture.getContext("2d");
        picture.width = picture.height = 132;
        pen.fillStyle = "#07c160";
        pen.fillRect(0, 0, 132, 132);
        picture.toBlob(function (file) { done({ avatarUrl: URL.createObjectURL(file) }); });
      });
    }
  };

  document.addEventListener("click", function (e) {
    var button = e.target.closest && e.target.closest("button[open-type]");
    var open = button && openTypes[button.getAttribute("open-type")];
    if (!open) return;
    e.preventDefault();
    open().then(function (detail) {
      button.dispatchEvent(new CustomEvent(button.getAttribute("open-type").toLowerCase(), { bubbles: true, detail: detail }));
    });
  });
})();
