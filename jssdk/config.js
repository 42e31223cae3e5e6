// Calls wx.config for the page that holds this script, with a signature fetched from beside the script.
// In the script's address: debug=true, jsApiList=a,b, openTagList=a,b, and agent=true for WeCom's wx.agentConfig.
(function () {
  "use strict";

  // Listeners may stand in scripts further down the page, which an answer can come before.
  function tell(name, detail) {
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", function () { tell(name, detail); });
      return;
    }
    var event = document.createEvent("CustomEvent");
    event.initCustomEvent(name, false, false, detail);
    document.dispatchEvent(event);
  }

  function fail(errcode, errmsg) {
    if (window.console) console.error("wx.config: " + errmsg);
    tell("wetoken:error", { errcode: errcode, errmsg: errmsg });
  }

  var script = document.currentScript;
  if (!script || !script.src) {
    fail(0, "config.js must be loaded by a script element with a src of its own");
    return;
  }

  // The address as it was when the page was loaded is the one that iOS checks.
  var page = location.href.split("#")[0];
  var parts = script.src.split("#")[0].split("?");
  var endpoint = parts[0].replace(/\.js$/, "");
  var query = {};
  (parts[1] || "").split("&").forEach(function (pair) {
    var at = pair.indexOf("=");
    if (at > 0) query[pair.slice(0, at)] = decodeURIComponent(pair.slice(at + 1).replace(/\+/g, " "));
  });

  function list(name) {
    return (query[name] || "").split(",").filter(function (s) { return s; });
  }

  function ask(agent, then) {
    var request = new XMLHttpRequest();
    request.onload = function () {
      var answer = null;
      try { answer = JSON.parse(request.responseText); } catch (e) { answer = null; }
      if (request.status === 200 && answer) then(answer);
      else fail(answer && answer.errcode || request.status, answer && answer.errmsg || "HTTP status " + request.status);
    };
    request.onerror = function () {
      fail(0, "no answer from " + endpoint + " (is " + location.host + " among the app's hosts?)");
    };
    request.open("POST", endpoint);
    // A string goes as text/plain, which needs no question in advance across hosts.
    request.send(JSON.stringify({
      url: page, agent: agent, debug: query.debug === "true",
      jsApiList: list("jsApiList"), openTagList: list("openTagList")
    }));
  }

  function agent() {
    ask(true, function (answer) {
      answer.success = function () { tell("wetoken:agent", null); };
      answer.fail = function (why) { fail(0, "agentConfig: " + (why && why.errMsg || "refused")); };
      window.wx.agentConfig(answer);
    });
  }

  function config(answer) {
    if (!window.wx || !window.wx.config) {
      fail(0, "WeChat's script, https://res.wx.qq.com/open/js/jweixin-1.6.0.js, must stand before config.js");
      return;
    }
    window.wx.config(answer);
    if (query.agent === "true") window.wx.ready(agent);
  }

  ask(false, function (answer) {
    if (window.wx || document.readyState === "complete") config(answer);
    else window.addEventListener("load", function () { config(answer); });
  });
})();
