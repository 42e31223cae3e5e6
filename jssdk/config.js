// Calls wx.config for the page of this script, with a signature from the server of the script.
// Parameters of the script's address: debug=true, jsApiList=a,b, openTagList=a,b, and agent=true for wx.agentConfig.
(function () {
  "use strict";

  var defaults = {}; // what the address of the script leaves out; Script replaces it

  // Waits until the page is parsed, since scripts further down may add listeners.
  function dispatch(name, detail) {
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", function () { dispatch(name, detail); });
      return;
    }
    var event = document.createEvent("CustomEvent");
    event.initCustomEvent(name, false, false, detail);
    document.dispatchEvent(event);
  }

  function fail(errcode, errmsg) {
    if (window.console) console.error("wx.config: " + errmsg);
    dispatch("wetoken:error", { errcode: errcode, errmsg: errmsg });
  }

  var script = document.currentScript;
  if (!script || !script.src) {
    fail(0, "config.js must be loaded by a script element with a src of its own");
    return;
  }

  // iOS checks the address that the page was loaded from.
  var page = location.href.split("#")[0];
  var parts = script.src.split("#")[0].split("?");
  var endpoint = parts[0].replace(/(\.js|\/)$/, "");
  if (defaults.app) endpoint = endpoint.replace(/\/js\/config$/, defaults.app + "/js/config");
  var query = {};
  (parts[1] || "").split("&").forEach(function (pair) {
    var at = pair.indexOf("=");
    if (at > 0) query[pair.slice(0, at)] = decodeURIComponent(pair.slice(at + 1).replace(/\+/g, " "));
  });

  function list(name) {
    if (!query[name] && defaults[name]) return defaults[name];
    return (query[name] || "").split(",").filter(function (s) { return s; });
  }

  function request(agent, then) {
    var xhr = new XMLHttpRequest();
    xhr.onload = function () {
      var answer = null;
      try { answer = JSON.parse(xhr.responseText); } catch (e) { answer = null; }
      if (xhr.status === 200 && answer) then(answer);
      else fail(answer && answer.errcode || xhr.status, answer && answer.errmsg || "HTTP status " + xhr.status);
    };
    xhr.onerror = function () {
      fail(0, "no answer from " + endpoint + " (is " + location.host + " among the app's hosts?)");
    };
    xhr.open("POST", endpoint);
    // A string is sent as text/plain, which needs no preflight request to another host.
    xhr.send(JSON.stringify({
      url: page, agent: agent, debug: query.debug === "true" || !!defaults.debug,
      jsApiList: list("jsApiList"), openTagList: list("openTagList")
    }));
  }

  function agent() {
    request(true, function (answer) {
      answer.success = function () { dispatch("wetoken:agent", null); };
      answer.fail = function (why) { fail(0, "agentConfig: " + (why && why.errMsg || "refused")); };
      window.wx.agentConfig(answer);
    });
  }

  function config(answer) {
    if (!window.wx || !window.wx.config) {
      fail(0, "WeChat's script, https://res.wx.qq.com/open/js/jweixin-1.6.0.js, must come before config.js");
      return;
    }
    window.wx.config(answer);
    if (query.agent === "true") window.wx.ready(agent);
  }

  request(false, function (answer) {
    if (window.wx || document.readyState === "complete") config(answer);
    else window.addEventListener("load", function () { config(answer); });
  });
})();
