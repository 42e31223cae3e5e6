// Server is the gateway of wetoken as a program: it reads a configuration, and serves the apps in it to our own
// services (private) and to WeChat and browsers (public).
//
//	server -config wetoken.yaml
//	server -demo                            the same app, secret and key at each start on loopback addresses; -fresh: new ones
//	server migrate -config wetoken.yaml     makes the tables of its databases; safe to repeat
//	server seal -config wetoken.yaml        seals all that is stored with the current master key
//
// Each flag may stand in the environment instead, as WETOKEN_CONFIG, WETOKEN_STORE and so on; flags win over the
// environment, and both over the file. A -store that is set but empty is refused. A configuration that cannot be served, a store of no such kind and master keys that
// do not fit are one line on standard error and exit code 2. The two sides have addresses of their own, -public
// and -private; where they are one and the same, both sides stand on it. SIGTERM closes the addresses at once, and lets
// the requests under way finish: take a server out of its balancer before, if that must not send it requests in vain.
//
// A refusal that a person has to cure, such as an IP address that is not whitelisted, is remembered for a minute, doubling
// to ten. Once it is cured in WeChat's console, POST /app/{app}/retry, by a caller with scope admin, asks WeChat at once for
// the app's token and tickets, and answers {"errcode":0,"errmsg":"ok"} or the refusal there is now; SIGHUP does so for all
// apps that were used in this process. What one server gets, the others find in the store they share.
//
// # Configuration
//
// The file is YAML, with ${NAME} in its texts taken from the environment. Keys are matched by exact case, and refused
// where they are unknown, given twice, or given without a value, as aes_key: ${NAME} is while NAME is empty. Blanks and
// line ends around an id, a secret or an address are refused, too.
//
// Logins, copies of messages and records of handled messages are stored under an app's id, which is its name by default. An
// app that gets another name keeps them if its id is set to the name it had. No two apps may have the same id.
//
// This file has every key; most may be left out.
//
//	public_url: https://wx.example.com          # what WeChat and browsers see; logins need it
//	store: redis://127.0.0.1:6379/0             # shared and disposable; default memory
//	records: postgres://127.0.0.1/wetoken       # durable: copies of messages, refresh tokens; default the store
//	trusted_proxies: [10.0.0.0/8]               # whose X-Forwarded-For is believed; default none. See Limits
//	endpoints:                                  # WeChat's base URLs; default its own
//	  api: https://api.weixin.qq.com
//	  work: https://qyapi.weixin.qq.com
//	  open: https://open.weixin.qq.com
//	  login: https://login.work.weixin.qq.com
//	keys:                                       # callers of the private side; "*" is all apps, or all scopes but admin
//	  - name: shop-backend                      # for the log
//	    key: ${SHOP_KEY}                        # 16 characters or more, or sha256: and the hex digest of such a key
//	    apps: [shop]
//	    scopes: [token, renew, ticket, login]   # admin is for operators
//	apps:
//	  shop:                                     # its name in /app/shop/…; its appid works there too
//	    id: shop                                # names what is stored for it; default its name, here shop
//	    name: 小店                               # for people
//	    app_id: wx0123456789abcdef              # the corp id of WeCom
//	    secret: ${SHOP_SECRET}
//	    kind: official                          # official (default), mini, website or work
//	    agent_id: 0                             # of WeCom: the application; needed with hosts
//	    token_mode: stable                      # stable (default) or classic
//	    keep: true                              # renew the token before its end, read or not
//	    tickets: [jsapi, wx_card]               # and these tickets; of WeCom jsapi and agent_config; default none
//	    expires_at: 2099-01-01T00:00:00Z        # the registration ends
//	    allow: [/token, /ticket, /message, /login, /js]   # routes it may be used through; default all
//	    hosts: [shop.example.com]               # pages that may be signed, and where logins may return to
//	    cards: false                            # anybody may have cards signed for its pages, by their id
//	    verify_files: {MP_verify_abc.txt: abc}  # served at the root of the public side
//	    sign_key: ${SIGN_KEY}                   # signs what backends are sent; without it they cannot tell it from a forged message
//	    previous_sign_key: ${OLD_SIGN_KEY}      # while it is being changed, for a day: copies that fit neither key are dropped
//	    receive_ids: []                         # further ids that encrypted messages may be for: a platform's, "" of a smart robot; any for a suite
//	    forward_signature: false                # backends of form xml and json are given WeChat's signature too, which covers no body
//	    message:                                # callbacks, at /app/shop/message
//	      token: ${SHOP_TOKEN}
//	      aes_key: ${SHOP_AES_KEY}              # EncodingAESKey
//	      previous_token: ${OLD_TOKEN}          # while they are being changed
//	      previous_aes_key: ${OLD_AES_KEY}
//	      mode: secure                          # plain, compatible or secure (default with an aes_key)
//	      allow_private: false                  # backends that requests name may have private addresses
//	      forward:                              # repeats of one message have the same header Wetoken-Delivery: deduplicate by it
//	        - url: http://crm:9000/wx
//	          form: json                        # xml (default), json, or raw: as it came
//	          answer: true                      # what it answers is for the user; default it gets a copy, kept until taken
//	          late: true                        # an answer that comes too late is sent as a customer service message
//	          timeout: 4s
//	          when:                             # all of these, each a text or a list; default every message
//	            type: [text, event]
//	            event: CLICK
//	            event_key: help
//	        - url: http://archive:9000/wx
//	          when: {type: text, text: hello, keyword: [price, 价格], pattern: "^[0-9]+$"}
//
// # Stores
//
// The configuration names two, by URL: store, which all servers share and which may be lost, and records, which must
// not be; records is the store where it is not named.
//
//	memory                                        this process alone, until it ends; the default
//	sqlite:FILE                                   the servers of one machine; the file and its table are made
//	redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]    also redis-sentinel://HOST,HOST/MASTER[/DB] and redis-cluster://HOST,HOST;
//	                                              rediss, rediss-sentinel and rediss-cluster speak TLS
//	mysql://USER:PASSWORD@HOST[:PORT]/NAME        and MariaDB; parameters are those of go-sql-driver/mysql, such as tls=true
//	postgres://USER:PASSWORD@HOST[:PORT]/NAME     parameters are those of libpq, such as sslmode=verify-full
//	oracle://USER:PASSWORD@HOST[:PORT]/SERVICE    options are those of go-ora; has been run against no Oracle server
//
// A server starts, and goes on, while a store is away or takes no writes: tokens and tickets then come from its memory and
// from WeChat, the log says so in one line, and /readyz answers 503 with the reason. The store is checked again after a
// second, doubling to 30, and at each /readyz, and is used from then on. Logins and copies of messages need it.
//
// In a user or a password, reserved characters are written %XX. MySQL, PostgreSQL and Oracle need server migrate once,
// by a user who may make tables.
//
// # Limits
//
// The public side has at most three quarters of the process's limit of open files, less 64, as connections at a time; the
// rest is for the private side, the stores and WeChat. One address has at most 1 000 of them. Where both sides have one
// address, these bounds hold for both: give the private side its own where strangers must not be able to fill it.
//
// In each process and minute, an address may ask each of /session, /login and /login/callback of an app 20 000 times, and
// a browser that keeps cookies may begin 20 logins. Logins that have begun in a minute take at most 64 MiB of the store.
//
// No limit by address applies to trusted_proxies: the client that X-Forwarded-For names is counted in their place. While
// trusted_proxies is not set, none applies to private addresses, 127.0.0.0/8, ::1 and 100.64.0.0/10 among them, since a
// balancer may be there and all users behind it; a warning says so once.
//
// # Master keys
//
// WETOKEN_MASTER_KEYS encrypts whatever is stored: keys in base64 with commas between them, the current one first and
// previous ones after it. openssl rand -base64 32 makes one. To change it while servers run, start them again one by
// one with OLD,NEW and then with NEW,OLD; run server seal with the same; then start them with NEW. Each store holds a mark
// that is sealed too. A server uses no other value before it has found that its keys open the mark or, where the mark is
// gone or was replaced, other values.
//
// To encrypt values that were stored without keys, stop all servers, run server seal -plaintext, and start them with keys.
// It lists the keys of the values that it adopts. Beside sealed values, a value that is not sealed is one that somebody
// without the master keys has put there: servers refuse it and say so, and restore the mark where that was replaced; and
// seal -plaintext lists such values and adopts none, unless -mixed is given, as after a run that was cut short.
package main
