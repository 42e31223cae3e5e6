// A client of the old module: it looks at data alone, and splits it at the first underscore.
const [base, loginCode, phoneCode, nextCode] = process.argv.slice(2);

async function call(method, path, token, body) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.token = token;
  const r = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  return (await r.json()).data;
}

async function main() {
  let data = await call("POST", "/wechat-miniapp/sign/default", "", { jsCode: loginCode });
  let token = data.split("_")[0], flag = data.split("_")[1];
  if (data.split("_").length !== 2) throw new Error("more than one underscore");
  console.log(flag, (await call("GET", "/app/miniapp/user", token)).initial ? "provisional" : "bound");

  data = await call("PUT", "/app/miniapp/update-phone", token, { code: phoneCode });
  [token, flag] = data.split("_");
  console.log(flag, "bound", (await call("GET", "/app/miniapp/user", token)).user_name);

  [token, flag] = (await call("POST", "/wechat/sign/default", "", { jsCode: nextCode })).split("_");
  console.log(flag, "again", (await call("GET", "/app/miniapp/user", token)).user_name);
}

main().catch(function (e) { console.error(e); process.exit(1); });
