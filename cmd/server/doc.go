// Server is the gateway of wetoken as a program: it reads a configuration, and serves the apps in it to our own
// services (private) and to WeChat and browsers (public).
//
//	server -config wetoken.yaml
//	server -demo                            the same app, secret and key at each start on loopback addresses; -fresh: new ones
//	server migrate -config wetoken.yaml     makes the tables of its databases; can be repeated
//	server seal -config wetoken.yaml        seals all stored values with the current master key
//	server init                             writes a new configuration, and makes the tables
//	server import SYSTEM SOURCE -config wetoken.yaml   registers the apps and merchants of an older system
//	server key list -config wetoken.yaml    lists the caller keys: see Caller keys
//	server platform sync NAME -config wetoken.yaml   compares the accounts of a platform with WeChat: see Platforms
//
// # Flags
//
// Each flag can be set in the environment instead, as WETOKEN_CONFIG, WETOKEN_STORE and so on. Flags override the
// environment, and both override the file. -store must not be set to an empty text. An invalid configuration, an unknown
// kind of store and master keys that do not fit are one line on standard error, and exit code 2.
//
// The two sides have their own addresses, -public and -private. If these are the same, both sides are served there.
//
// # Signals
//
// SIGTERM closes the addresses at once, and waits for the requests in progress. If a load balancer must not send requests in
// vain, take the server out of it before.
//
// SIGHUP asks WeChat again after refusals. A refusal that a person has to resolve, such as an IP address that is not on the
// whitelist, is remembered for a minute, doubling to ten. Once it is resolved in WeChat's console, POST /app/{app}/retry, by a
// caller with scope admin, fetches the app's token and tickets at once, and replies with {"errcode":0,"errmsg":"ok"} or the
// new refusal. SIGHUP does this for all apps that were used in this process. Other servers find the results in the shared
// store.
//
// # Configuration
//
// The file is YAML. ${NAME} in its texts is replaced by the environment variable. Keys match in exact case. A key that is
// unknown, given twice or without a value (such as aes_key: ${NAME} with an empty NAME) is an error, and so are blanks and
// line ends around an id, a secret or an address.
//
// Logins, copies of messages and records of handled messages are stored under an app's id, which is its name by default. A
// renamed app keeps them if its id is set to its old name. Two apps must not have the same id.
//
// The keys of a merchant are files, which are read again within a minute when they change, or texts. The serial_no of a
// certificate is read from it. A p12 file is opened with cert_password, by default mch_id.
//
// This file has nearly every key; most are optional.
//
//	public_url: https://wx.example.com          # what WeChat and browsers see; logins need it
//	store: redis://127.0.0.1:6379/0             # shared and disposable; default memory
//	records: postgres://127.0.0.1/wetoken       # durable: copies of messages, refresh tokens; default the store
//	trusted_proxies: [10.0.0.0/8]               # whose X-Forwarded-For is believed; default none. See Limits
//	resident_apps: 20000                        # registered apps that a process holds in memory. See Registrations
//	audit_days: 200                             # for how long records keeps who did what. See Audits
//	keep_rate: 50                               # renewals ahead a second and process; this is the default
//	endpoints:                                  # WeChat's base URLs; default its own
//	  api: https://api.weixin.qq.com
//	  work: https://qyapi.weixin.qq.com
//	  open: https://open.weixin.qq.com
//	  login: https://login.work.weixin.qq.com
//	  mp: https://mp.weixin.qq.com
//	  pay: https://api.mch.weixin.qq.com
//	  script: http://127.0.0.1:8099             # of the example pages of compat, if WeChat is simulated
//	keys:                                       # callers of the private side; "*" is all apps, or all scopes but those below
//	  - name: shop-backend                      # for the log
//	    key: ${SHOP_KEY}                        # 16 characters or more, or sha256: and the hex digest of such a key
//	    apps: [shop]
//	    scopes: [token, renew, ticket, message, login, pay]
//	    expires_at: 2099-01-01T00:00:00Z        # the key ends; default never
//	    addresses: [10.0.0.0/8, 127.0.0.1]      # of the clients that may use it, behind trusted_proxies too; default any
//	    rate: 500                               # requests a second and process, after twice as many at once; others get 429; default no limit
//	  - name: cash-desk
//	    key: ${DESK_KEY}
//	    apps: [shop]
//	    scopes: [refund, transfer, pay-api, admin]   # they move money out, or are for operators
//	    paths: [/v3/merchant-service/*]         # of APIv3, for pay-api
//	    max_fen: 100000                         # of one order, refund, reversal or transfer; default no limit
//	    day_fen: 1000000                        # of its refunds, reversals and transfers in a day of Beijing
//	apps:
//	  shop:                                     # its name in /app/shop/…; its appid works there too
//	    id: shop                                # names what is stored for it; default its name, here shop
//	    name: 小店                               # for people
//	    app_id: wx0123456789abcdef              # the corp id of WeCom
//	    secret: ${SHOP_SECRET}
//	    next_secret: ${NEW_SHOP_SECRET}         # used once WeChat refuses secret as wrong: prepares a reset in its console; default none
//	    previous_secret: ${OLD_SHOP_SECRET}     # callers of older systems that send appid and secret may still use it; default none
//	    kind: official                          # official (default), mini, website, work or platform
//	    agent_id: 0                             # of WeCom: the application; needed with hosts
//	    token_mode: stable                      # stable (default) or classic
//	    keep: true                              # renew the token before its end, read or not
//	    tickets: [jsapi, wx_card]               # and these tickets; of WeCom jsapi and agent_config; default none
//	    expires_at: 2099-01-01T00:00:00Z        # the registration ends
//	    public_url: https://shop-wx.example.com # of this app, in place of the one above
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
//	    wcode_template_id: ${TEMPLATE_ID}       # of wetoken's wxcode messages, of an official account
//	    pay:                                    # payments, at /app/shop/pay
//	      merchant: m1                          # or its keys, as under merchants, if only this app has it
//	      notify_to: http://shop:8000/paid      # gets each payment, refund and transfer; default none
//	      notify_sync: false                    # WeChat is answered only once notify_to has accepted, which has 4 s
//	    open_pay: {max_fen: 0}                  # for wechat-proxy's clients: orders that browsers place without a link, at most this; default none
//	  saas:                                     # a third-party platform: see docs/platform.md
//	    app_id: wx3333333333333333              # component_appid and component_appsecret
//	    secret: ${SAAS_SECRET}
//	    kind: platform                          # the accounts that authorize it are registered as apps of kind authorized
//	    hosts: [saas.example.com]               # where the browser of an account's administrator may return to
//	    release_check: false                    # answers WeChat's release check (全网发布检测)
//	    message:                                # Token and Key of the platform's page; forward is for accounts without their own
//	      token: ${SAAS_TOKEN}
//	      aes_key: ${SAAS_AES_KEY}
//	merchants:                                  # of WeChat Pay; several apps may have one
//	  m1:
//	    mch_id: "1900000001"
//	    sub_mch_id: "1900000109"                # of a shop of the service provider mch_id; default none
//	    sub_app_id: wx1111111111111111          # and its appid, if it has one
//	    app_ids: [wx2222222222222222]           # further appids that orders may name
//	    v3:                                     # keys are files, or texts: cert, private_key, public_key
//	      api_v3_key: ${API_V3_KEY}
//	      previous_api_v3_key: ${OLD_API_V3_KEY}   # while it is being changed
//	      cert_file: /etc/wetoken/apiclient_cert.pem   # or apiclient_cert.p12, without a private_key_file
//	      private_key_file: /etc/wetoken/apiclient_key.pem
//	      public_key_id: ${PUBLIC_KEY_ID}       # of merchants with WeChat's public key
//	      public_key_file: /etc/wetoken/pub_key.pem
//	    v2:                                     # APIv2, instead of v3, or beside it while the merchant moves
//	      api_key: ${API_KEY}
//	      previous_api_key: ${OLD_API_KEY}      # while it is being changed
//	      sign_type: HMAC-SHA256                # the default; MD5 while orders of another program that used it can be paid
//	      cert_file: /etc/wetoken/apiclient_cert.pem   # or apiclient_cert.p12 with its cert_password; default that of v3
//	      private_key_file: /etc/wetoken/apiclient_key.pem
//	    version: v3                             # of new orders: v3, the default, or v2; old ones stay with theirs
//	    server_ip: 192.0.2.7                    # of the server that places orders, for v2 orders without client_ip; default 127.0.0.1
//	    # sandbox: xdc                          # a simulation by WeChat, for v2 without v3: xdc or old
//	compat:                                     # routes of older systems, for their clients: docs/migrating.md
//	  systems: [wetoken, accesstoken, payment, proxy]   # default none
//	  jsonrpc: 127.0.0.1:8000                   # accesstoken's JSON-RPC; default not served
//	  open: []                                  # systems that need no key, on a private network; the log names them at each start
//	  create: false                             # wetoken's /wechat/app/create, for keys with the scope admin
//	  examples: false                           # proxy's /echo and example pages, for everybody
//
// # Stores
//
// The configuration has the URLs of two stores: store, which all servers share and which may be lost, and records, which
// must not be lost. The default of records is store.
//
//	memory                                        only this process, until it ends; the default
//	sqlite:FILE                                   the servers of one machine; makes the file and its table
//	redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]    also redis-sentinel://HOST,HOST/MASTER[/DB] and redis-cluster://HOST,HOST;
//	                                              rediss, rediss-sentinel and rediss-cluster use TLS
//	mysql://USER:PASSWORD@HOST[:PORT]/NAME        and MariaDB; parameters are those of go-sql-driver/mysql, such as tls=true
//	postgres://USER:PASSWORD@HOST[:PORT]/NAME     parameters are those of libpq, such as sslmode=verify-full
//	oracle://USER:PASSWORD@HOST[:PORT]/SERVICE    options are those of go-ora; not tested with an Oracle server
//
// A server starts, and keeps running, while a store is down or accepts no writes: it serves tokens and tickets from its memory
// and from WeChat, logs one line, and /readyz replies with 503 and the reason. It checks the store again after a second,
// doubling to 30, and at each /readyz, until it can use it. Logins and copies of messages need the store.
//
// Reserved characters in a user or a password are written as %XX. MySQL, PostgreSQL and Oracle need server migrate once, by
// a user who may create tables.
//
// With pay, records must be named and must keep what it is given, and WETOKEN_MASTER_KEYS must be set. Redis is used as records
// only with appendonly yes and maxmemory-policy noeviction: a server with another one does not start. One that cannot be read
// at the start makes payment routes reply with 503 until it can.
//
// # Registrations
//
// Apps and merchants can be registered while the server runs, by a caller with scope admin for all apps, with the settings above: see
// GET /apps and GET /merchants. Records keep them, so master keys must be set. All servers with the same records serve them within 2
// seconds. Each holds at most resident_apps of them in memory, those used last, and reads the others when they are used.
//
// # Caller keys
//
// More keys can be made while servers run, by GET, POST and DELETE on /keys, or by commands that work on records:
//
//	server key list -config FILE               lists all keys, without the keys themselves
//	server key create NAME -apps shop -scopes token,ticket -config FILE
//	                                           makes a key, and prints it: nothing shows it again
//	server key rotate NAME -config FILE        makes another one in its place; the earlier one is good for -overlap, 1h by default
//	server key revoke NAME -config FILE        ends it
//
// create also takes -expires, -addresses, -rate, -paths, -max-fen and -day-fen, as keys in the file have them. Running servers see a
// change within 2 seconds. Keys of the file can be changed only there. The records need WETOKEN_MASTER_KEYS; they have the SHA-256 of
// a key, and not the key. While they cannot be read, servers accept the keys that they have used before, and reply to others with 503.
//
// A key of the file names apps of the file, or "*". A registered key may also name an app that is registered, even later.
//
// # Audits
//
// Forced renewals, registrations, changes of keys, calls that move money out, calls of administrators that were refused and failed
// keys are lines in the log, and entries that records keeps for audit_days: see GET /audit. So are server key and server outbox, by
// the name of the user. A call is served even if its entry cannot be recorded. Such entries wait in memory, at most 1000, and the
// log has a warning.
//
// # Reports of payments
//
// A report that notify_to does not accept is sent again without end. One that fits neither sign_key nor previous_sign_key is held.
//
//	server outbox list -config FILE        lists the reports that wait
//	server outbox retry ID -config FILE    signs one with the present sign_key, and sends it now
//	server outbox drop ID -config FILE     ends one: its backend never gets it
//
// ID is the first word of a line of the list, or a Wetoken-Delivery. Each command but list is a line in the log, and an audit. From 5 minutes on
// waiting reports are a warning there, and /readyz has the age of the oldest one.
//
// # Platforms
//
// The records can be compared with the accounts that WeChat lists for a third-party platform (app of kind platform):
//
//	server platform sync NAME -config FILE         prints what differs: refresh tokens that are missing, apps to register, open or close
//	server platform sync NAME -apply -config FILE  makes these changes
//	server platform start-push NAME -config FILE   has WeChat push component_verify_ticket again (api_start_push_ticket)
//
// The commands use the component_access_token in store, so that store must be the one of the running servers.
//
// # A new server
//
//	server init                            asks, and writes wetoken.yaml and wetoken.env
//	server init -yes -public-url https://wx.example.com -store redis://127.0.0.1:6379/0
//
// wetoken.env has a new master key, a key for administrators, and URLs with passwords; only its owner can read it. Nothing else shows
// them. Existing files are not overwritten, and stores with values of another server are refused. server init -h lists the flags.
//
// # Import
//
//	server import wetoken mysql://USER:PASSWORD@HOST/NAME -config FILE    or oracle://, or env:NAME for a variable with the URL
//	server import proxy wxproxy.db -config FILE
//	server import accesstoken config.json -config FILE                    or redis://
//	server import payment config.json -config FILE
//
// It registers apps and merchants in records, and no tokens. With a conflict it writes nothing, and exits with code 1. -dry-run only
// prints, -verify asks WeChat about each secret, -rename OLD=NEW and -skip NAME resolve conflicts. docs/migrating.md says what
// becomes of each setting.
//
// # Limits
//
// The public side has at most three quarters of the process's limit of open files, less 64, as connections at a time; the
// rest is for the private side, the stores and WeChat. One address has at most 1 000 of them. Where both sides have one
// address, these limits apply to both: use two addresses if strangers must not be able to block the private side.
//
// In each process and minute, an address may call each of /session, /login and /login/callback of an app 20 000 times, and
// a browser that keeps cookies may begin 20 logins. Logins that begin in a minute take at most 64 MiB of the store.
// On all servers together, an address may have 200 orders of wechat-proxy's pages of an app that are not paid, and a browser 5 that no
// link fixes.
//
// Limits by address do not apply to trusted_proxies: the client in X-Forwarded-For is counted instead. While trusted_proxies
// is not set, they do not apply to private addresses, with 127.0.0.0/8, ::1 and 100.64.0.0/10, since these may be load
// balancers with all users behind them; the log has one warning.
//
// # Master keys
//
// WETOKEN_MASTER_KEYS encrypts all stored values. It is a list of keys in base64, separated by commas, the current one first
// and previous ones after it. openssl rand -base64 32 makes a key. To change the key while servers run, restart them one by
// one with OLD,NEW and then with NEW,OLD; run server seal with NEW,OLD; then restart them with NEW. Each store has a mark
// that is sealed too. A server uses no other value until its keys have opened the mark or, if the mark is missing or was
// replaced, other values.
//
// To encrypt values that were stored without keys, stop all servers, run server seal -plaintext, and start them with keys.
// The command lists the keys of the values that it seals. A plaintext value beside sealed ones was written without the
// master keys: servers refuse it, log it, and restore a mark that was replaced. seal -plaintext then only lists such values,
// and seals them with -mixed, such as after an interrupted run.
package main
