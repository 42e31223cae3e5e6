// What the example pages do. Each page has its own function; its result goes into #result.
(function () {
  "use strict";

  function show(text) {
    var at = document.getElementById("result");
    if (at) at.textContent = text;
  }

  // A script or an image of this server that was refused.
  window.addEventListener("error", function (e) {
    if (e.target && e.target.src) show("没有加载：" + e.target.src.split("?")[0]);
  }, true);

  document.addEventListener("wetoken:error", function (e) { show(e.detail.errmsg); });

  var pages = {
    jssdk: function () {
      if (!window.wx) return;
      wx.error(function (res) { show(res.errMsg); });
      wx.ready(function () { show("config:ok"); });
    },

    jsapi: function () {
      var button = document.getElementById("pay");
      if (!button) return;
      button.addEventListener("click", function () {
        if (!window.order || !window.order.paySign) return show("没有下单：" + (window.order && (window.order.err_code_des || window.order.errmsg) || ""));
        if (!window.WeixinJSBridge) return show("请在微信里打开这个页面");
        WeixinJSBridge.invoke("getBrandWCPayRequest", window.order, function (res) {
          show(res.err_msg === "get_brand_wcpay_request:ok" ? "已支付" : res.err_msg);
        });
      });
    },

    // An order that is placed again under its number tells whether it is paid.
    qrcode: function () {
      var order = document.getElementById("result").getAttribute("data-order"), left = 100;
      function ask() {
        fetch(order).then(function (r) { return r.json(); }).then(function (answer) {
          if (answer.err_code === "ORDERPAID") return show("已支付");
          if (left-- > 0) setTimeout(ask, 3000);
        }, function () { if (left-- > 0) setTimeout(ask, 3000); });
      }
      var code = document.getElementById("code");
      function begin() { setTimeout(ask, 1000); }
      if (code.complete && code.naturalWidth) begin(); // it may be there before this page is read to its end
      else code.addEventListener("load", begin);
    }
  };

  document.addEventListener("DOMContentLoaded", function () {
    var page = pages[document.body.getAttribute("data-page")];
    if (page) page();
  });
})();
