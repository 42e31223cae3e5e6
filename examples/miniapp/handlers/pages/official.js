// The page of the official account. Its session is a cookie.
document.getElementById("refresh").onclick = function () {
  var said = document.getElementById("said");
  fetch("/app/official-account/user/refresh", { method: "PUT" })
    .then(function (r) { return r.json(); })
    .then(function (r) {
      if (r.msg) return (said.textContent = r.msg);
      document.getElementById("nickname").textContent = r.data.nickname;
      said.textContent = "已更新 " + r.data.nickname;
    });
};
