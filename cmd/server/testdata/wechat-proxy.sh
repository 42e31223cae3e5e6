#!/usr/bin/env bash
# The requests of wechat-proxy's clients against a running demo. It ends with the first answer that is not as they read it.
# Variables: PRIVATE and PUBLIC are the base URLs of both sides, KEY a caller key with scope admin, APPID and SECRET those of an app that
# WeChat knows.
set -euo pipefail

# expect PATTERN CURL-ARGUMENTS: the body, in one line, matches an extended regular expression as a whole.
expect() {
  local pattern=$1 body
  shift
  body=$(curl -sS --max-time 20 "$@" | LC_ALL=C tr -d '\0' | LC_ALL=C tr '\n\r' '  ')
  if ! LC_ALL=C grep -Eqxa -- "$pattern" <<<"$body"; then
    echo "curl $* answered: ${body:0:500}" >&2
    echo "want: $pattern" >&2
    exit 1
  fi
  echo "ok: ${*: -1}" | cut -d '?' -f 1
}

auth=(-H "Authorization: Bearer $KEY")
token='[^"]+'
secret=$(printf %s "$SECRET" | od -An -tx1 | tr -d ' \n' | sed 's/../%&/g')

# Registering.
register="$PRIVATE/register?key=shop&appid=$APPID&secret=$secret&token=tokenofthescript&expires=3600"
expect '\{"errcode": -10001, "errmsg": "[^"]*caller key[^"]*"\}' "$register"
expect '\{"success":true\}' "${auth[@]}" "$register"
expect '\{"success":true\}' "${auth[@]}" -d "key=shop&appid=$APPID&call=/api&call=/jsapi&call=/js&call=/msg&call=/qrcode" "$PRIVATE/register"
expect '\{"errcode": -10001, "errmsg": "key exists"\}' "${auth[@]}" "$PRIVATE/register?key=shop&appid=wx0000000000000000&secret=x"
expect '\{"errcode": 40125, "errmsg": "[^"]+"\}' "${auth[@]}" "$PRIVATE/register?key=shop&appid=$APPID&secret=wrong"
expect '\{"Key":"shop","AppId":"'"$APPID"'","Secret":"\*{8}","Token":"\*{8}","AesKey":"","MchId":"","MchKey":"","IpAddress":"","Calls":\["/api","/jsapi","/js","/msg","/qrcode"\],"Expires":"[^"]+"\}' "${auth[@]}" "$PRIVATE/app/shop"
expect '\{"errcode": -10001, "errmsg": "not found"\}' "${auth[@]}" "$PRIVATE/app/nobody"

# Tokens and tickets, by the key in the path and by appid and secret.
for path in api api/ api/new; do
  expect '\{"access_token":"'"$token"'","expires_in":[0-9]+\}' "${auth[@]}" "$PRIVATE/app/shop/$path"
  expect '\{"access_token":"'"$token"'","expires_in":[0-9]+\}' "$PRIVATE/$path?appid=$APPID&secret=$secret"
done
expect '\{"errcode": 40013, "errmsg": "[^"]+"\}' "$PRIVATE/qyapi?appid=$APPID&secret=$secret"
expect '\{"errcode": -10001, "errmsg": "not found"\}' "${auth[@]}" "$PRIVATE/app/shop/qyapi"
ticket='\{"errcode":0,"errmsg":"ok","ticket":"'"$token"'","expires_in":[0-9]+\}'
expect "$ticket" "${auth[@]}" "$PRIVATE/app/shop/jsapi"
expect "$ticket" "$PRIVATE/jsapi?appid=$APPID&secret=$secret"
at=$(curl -sS "${auth[@]}" "$PRIVATE/app/demo/api" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
expect "$ticket" -G --data-urlencode "access_token=$at" "$PRIVATE/jsapi"
expect "$ticket" "${auth[@]}" "$PRIVATE/app/shop/js/card"

# Pages.
expect 'wx\.config\(\{"debug":true,"appId":"'"$APPID"'","timestamp":[0-9]+,"nonceStr":"[^"]+","signature":"[0-9a-f]{40}","jsApiList":\["scanQRCode"\]\}\)' \
  -e "$PUBLIC/example/jssdk" "$PUBLIC/app/demo/js/config?debug=true&apilist=scanQRCode"
expect '.*xhr\.open\("POST", endpoint\).*' "$PUBLIC/app/demo/js/config"
expect '.PNG.*' "$PUBLIC/qrcode?path=https://shop.example.com/"
expect '.*/app/demo/js/config.*' "$PUBLIC/example/jssdk?app=demo"
expect '\{"openid":"o"\}= *' -d '{"openid":"o"}=' "$PUBLIC/echo"

# WeChat's check of the URL in its console: the echo, and nothing for a signature that is not WeChat's.
now=$(date +%s)
sign=$(printf '%s\n' tokenofthescript "$now" nonceofthescript | LC_ALL=C sort | tr -d '\n' | sha1sum | cut -d ' ' -f 1)
expect "5837$now" "$PUBLIC/app/shop/msg?signature=$sign&timestamp=$now&nonce=nonceofthescript&echostr=5837$now&call=/echo"
expect '.*"errcode":.*' "$PUBLIC/app/shop/msg?signature=x${sign:1}&timestamp=$now&nonce=nonceofthescript&echostr=5837$now&call=/echo"

# Payments up to open_pay of the demo.
expect '\{"return_code":"SUCCESS",.*"trade_type":"NATIVE",.*"code_url":"[^"]+"\}' "$PUBLIC/app/demo/pay?fee=1&name=socks"
expect '.PNG.*' "$PUBLIC/app/demo/pay/qrcode?fee=1"
