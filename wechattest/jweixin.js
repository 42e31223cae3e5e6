// What WeChat's script does for a page, without WeChat: wx.config is judged by the Server this was loaded from.
(function () {
  "use strict";

  var home = document.currentScript.src.replace(/\/open\/js\/.*$/, "");
  var allowed = null, readies = [], errors = [], failure = null;
  var calls = ["updateAppMessageShareData", "updateTimelineShareData", "onMenuShareTimeline", "onMenuShareAppMessage",
    "onMenuShareQQ", "onMenuShareWeibo", "onMenuShareQZone", "chooseImage", "previewImage", "uploadImage", "downloadImage",
    "getNetworkType", "openLocation", "getLocation", "hideOptionMenu", "showOptionMenu", "hideMenuItems", "showMenuItems",
    "hideAllNonBaseMenuItem", "showAllNonBaseMenuItem", "closeWindow", "scanQRCode", "chooseWXPay", "openAddress", "openCard"];

  function judge(call, values, then) {
    var query = ["call=" + call, "url=" + encodeURIComponent(location.href.split("#")[0])];
    for (var name in values) {
      if (values[name] !== undefined && values[name] !== null) query.push(name + "=" + encodeURIComponent(values[name]));
    }
    var request = new XMLHttpRequest();
    request.onload = function () { then(JSON.parse(request.responseText).errMsg); };
    request.onerror = function () { then(call + ":fail, no answer"); };
    request.open("GET", home + "/open/js/verify?" + query.join("&"));
    request.send();
  }

  function finish(o, errMsg, more) {
    var result = more || {}, ok = /:ok$/.test(errMsg);
    result.errMsg = errMsg;
    if (ok && o.success) o.success(result);
    if (!ok && o.fail) o.fail(result);
    if (o.complete) o.complete(result);
  }

  var wx = {
    config: function (o) {
      judge("config", { appId: o.appId, timestamp: o.timestamp, nonceStr: o.nonceStr, signature: o.signature }, function (errMsg) {
        if (o.debug) console.log(errMsg);
        if (errMsg === "config:ok") {
          allowed = o.jsApiList || [];
          readies.forEach(function (f) { f(); });
        } else {
          failure = { errMsg: errMsg };
          errors.forEach(function (f) { f(failure); });
        }
      });
    },
    ready: function (f) { if (allowed) f(); else readies.push(f); },
    error: function (f) { errors.push(f); if (failure) f(failure); },
    agentConfig: function (o) {
      var values = { appId: o.corpid, agentid: o.agentid, timestamp: o.timestamp, nonceStr: o.nonceStr, signature: o.signature };
      judge("agentConfig", values, function (errMsg) { finish(o, errMsg); });
    },
    checkJsApi: function (o) {
      var result = {};
      (o.jsApiList || []).forEach(function (name) { result[name] = !!allowed && allowed.indexOf(name) >= 0; });
      finish(o, "checkJsApi:ok", { checkResult: result });
    },
    addCard: function (o) {
      var list = o.cardList.slice();
      (function next() {
        if (!list.length) return finish(o, "addCard:ok", { cardList: o.cardList });
        var card = list.shift(), ext = JSON.parse(card.cardExt);
        var values = { appId: wx.appId, cardId: card.cardId, timestamp: ext.timestamp, nonceStr: ext.nonce_str, signature: ext.signature, code: ext.code, openid: ext.openid, balance: ext.balance };
        judge("addCard", values, function (errMsg) { if (errMsg === "addCard:ok") next(); else finish(o, errMsg); });
      })();
    },
    chooseCard: function (o) {
      var values = { appId: wx.appId, shopId: o.shopId, cardType: o.cardType, cardId: o.cardId, timestamp: o.timestamp, nonceStr: o.nonceStr, signature: o.cardSign };
      judge("chooseCard", values, function (errMsg) { finish(o, errMsg, { cardList: "[]" }); });
    }
  };
  var config = wx.config;
  wx.config = function (o) { wx.appId = o.appId; config(o); };

  calls.forEach(function (name) {
    wx[name] = function (o) {
      var may = allowed && allowed.indexOf(name) >= 0;
      finish(o || {}, name + (may ? ":ok" : ":permission denied"));
    };
  });

  window.wx = window.jWeixin = wx;
})();
