#!/usr/bin/env bash
# The requests of letao's clients against a running shop. It ends with the first answer that is not as they read it.
# Variables: SHOP is the base URL, PHONE that of the simulated WeChat Pay, LOG the file with the output of the shop, where the codes are.
set -euo pipefail

# answer CURL-ARGUMENTS prints the body and the status, in one line.
answer() {
  curl -sS --max-time 20 -w ' %{http_code}' "$@" | LC_ALL=C tr -s '\n\r ' ' '
}

# pick EXPRESSION prints the group of a regular expression in its input.
pick() { sed "s/.*$1.*/\1/"; }

# expect PATTERN CURL-ARGUMENTS: an extended regular expression matches the body and the status as a whole.
expect() {
  local pattern=$1 body
  shift
  body=$(answer "$@")
  if ! LC_ALL=C grep -Eqxa -- "$pattern" <<<"$body"; then
    echo "curl $* answered: ${body:0:800}" >&2
    echo "want: $pattern" >&2
    exit 1
  fi
  echo "ok: ${*: -1}"
}

# code MOBILE asks for a code and reads it from the log. The answer does not have it.
code() {
  expect '\{"message":"[^"]+","msg":"[^"]+","status":200\} 200' -d "mobile=$1" "$SHOP/sms" >&2
  sed -n "s/^sms: the code for $1 is //p" "$LOG" | tail -n 1
}

# said STATUS is an answer without further fields. Clients read msg or message.
said() { echo "\{\"message\":\"[^\"]+\",\"msg\":\"[^\"]+\",\"status\":$1\}"; }

text='"[^"]+"'

# The home page, in any letter case, under the names of both versions.
for path in gridlist gridList; do
  expect '\{"gridList":\[\{"id":[0-9]+,"img":'"$text"',"name":'"$text"'\}.*\],.*"status":200\} 200' "$SHOP/$path"
done
for path in banners Banners; do
  expect '\{"bannerList":\[\{.*"img":'"$text"'.*\}\],.*"status":200,"swipeList":\[\{.*\}\]\} 200' "$SHOP/$path"
done
for path in sports SPORTS; do
  expect '\{.*"sportList":\[\{.*"name":'"$text"',"price":"[0-9]+\.[0-9]{2}"\}.*\],"sports":\[\{.*\}\],"status":200\} 200' "$SHOP/$path"
done
expect '\{.*"oneCategory":\[\{"categoryName":'"$text"',"id":1\}.*\],"status":200\} 200' "$SHOP/oneCategory"
expect '\{"bannerList":\[\{"brandLogo":'"$text"',"brandName":'"$text"',"categoryId":1,"hot":[01],"id":[0-9]+\}.*\],.*"status":200\} 200' "$SHOP/twoCategory?id=1"

# Registering, as the text describes it.
mobile=13800138000
described() { expect "$1" -d "username=$2&password=$3&repeat_password=$4&mobile=$mobile${5+&smsCode=$5}" "$SHOP/register"; }
described "$(said false) 200" alice abc123 abc123 # no code
described "$(said false) 200" alice abc123 abc123 0000
sent=$(code $mobile)
expect "$(said 1040) 200" -d "mobile=$mobile" "$SHOP/sms" # within a minute
expect "$(said 1040) 200" -d "mobile=12345" "$SHOP/sms"
described "$(said false) 200" alice abc123 abc124 "$sent"
described "$(said false) 200" al abc123 abc123 "$sent"
described "$(said false) 200" alice 'a' 'a' "$sent"
described "$(said 200) 200" alice abc123 abc123 "$sent"
described "$(said false) 200" alice2 abc123 abc123 "$sent" # a code is used once
mobile=13900139000
sent=$(code $mobile)
described "$(said 1000) 200" alice abc123 abc123 "$sent"

# Registering, as the later code did it.
later=(-H 'Content-Type: application/json' "$SHOP/user/register")
expect "$(said 0) 200" -d '{"username":"alice","password":"abc123","mobile":"'$mobile'","smsCode":"'"$sent"'"}' "${later[@]}"
expect "$(said false) 400" -d '{"username":"bob","password":"abc","mobile":"'$mobile'","smsCode":"'"$sent"'"}' "${later[@]}"
expect "$(said 200) 200" -d '{"username":"bob","password":"abc123","mobile":"'$mobile'","smsCode":"'"$sent"'"}' "${later[@]}"

# Logging in.
in='\{"code":200,"message":'"$text"',"mobile":"13800138000","msg":'"$text"',"status":200,"token":'"$text"',"userInfo":\{"mobile":"13800138000","username":"alice"\}\} 200'
for path in login user/login User/Login; do
  expect "$in" -d 'username=alice&password=abc123' "$SHOP/$path"
done
expect "$(said 1010) 200" -d 'username=alice&password=abc124' "$SHOP/login"
expect "$(said 1010) 200" -d 'username=nobody&password=abc123' "$SHOP/login"
expect "$(said 0) 200" -d 'username=alice&password=abc124' "$SHOP/user/login"
token=$(answer -d 'username=alice&password=abc123' "$SHOP/login" | pick '"token":"\([^"]*\)"')
auth=(-H "Authorization: Bearer $token")

# Without a token.
for path in order wx/order queryOrder pay/queryOrder pay/native; do
  expect 'Protected resource, use Authorization header to get access 401' -X POST "$SHOP/$path"
  expect 'Protected resource, use Authorization header to get access 401' -X POST -H "Authorization: Bearer ${token%?}" "$SHOP/$path"
done

# Ordering: by name and price, and by the ids of goods.
goods=$(answer "$SHOP/sports" | pick '"sports":\[\({[^}]*}\)')
name=$(pick '"name":"\([^"]*\)"' <<<"$goods")
id=$(pick '"id":\([0-9]*\)' <<<"$goods")
fen=$(pick '"price":"\([0-9.]*\)"' <<<"$goods" | tr -d .)
ordered='\{"data":\{.*"code_url":\["weixin:[^"]+"\],.*"nonce_str":'"$text"',"out_trade_no":'"$text"',"payUrl":"data:image/png;base64,[^"]+",.*"result_code":\["SUCCESS"\],.*\},.*"status":200\} 200'
refused='\{"data":'"$text"',.*"status":1050\} 200'
order=(--data-urlencode "body=$name" -d "spbill_create_ip=127.0.0.1&trade_type=NATIVE")
expect "$refused" "${auth[@]}" "${order[@]}" -d 'total_fee=1' "$SHOP/order"
expect "$ordered" "${auth[@]}" "${order[@]}" -d "total_fee=$fen" "$SHOP/order"
expect "$ordered" "${auth[@]}" --data-urlencode "body=$name" -d "ip=127.0.0.1&total_fee=$fen" "$SHOP/wx/order"
expect "$refused" "${auth[@]}" -d 'goods=999999' "$SHOP/Order"
placed=$(answer "${auth[@]}" -H 'Content-Type: application/json' -d '{"goods":['"$id"']}' "$SHOP/order")
no=$(pick '"out_trade_no":"\([^"]*\)"' <<<"$placed")
url=$(pick '"code_url":\["\([^"]*\)"' <<<"$placed")

# Paying: no client and no forged notification makes an order paid.
queried() { echo '\{"data":\{.*"out_trade_no":\["'"$no"'"\],.*"total_fee":\["'"$fen"'"\],.*"trade_state":\["'"$1"'"\],.*\},.*"status":200\} 200'; }
expect "$(queried NOTPAY)" "${auth[@]}" -X POST "$SHOP/queryOrder"
expect "$refused" "${auth[@]}" -X POST "$SHOP/pay/native"
expect '.* 4[0-9]{2}' -d '<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code><out_trade_no>'"$no"'</out_trade_no><total_fee>'"$fen"'</total_fee></xml>' "$SHOP/pay/notify"
expect "$(queried NOTPAY)" "${auth[@]}" -X POST "$SHOP/pay/queryOrder"
sheet=$(curl -sSL --max-time 20 -o /dev/null -w '%{url_effective}' --data-urlencode "what=$url" "$PHONE/phone/pay/open")
expect '.*' -d 'do=pay' "$sheet"
for _ in $(seq 100); do # the client polls
  case $(answer "${auth[@]}" -X POST "$SHOP/queryOrder") in *'"trade_state":["SUCCESS"]'*) break ;; esac
  sleep 0.1
done
expect "$(queried SUCCESS)" "${auth[@]}" -X POST "$SHOP/queryOrder"
expect '\{"data":\{"message":"支付成功",.*\},.*"status":200\} 200' "${auth[@]}" -X POST "$SHOP/pay/native"

# Another user does not see it.
token=$(answer -d 'username=bob&password=abc123' "$SHOP/login" | pick '"token":"\([^"]*\)"')
expect "$refused" -H "Authorization: Bearer $token" -d "out_trade_no=$no" "$SHOP/queryOrder"
expect "$refused" -H "Authorization: Bearer $token" -X POST "$SHOP/pay/native"
