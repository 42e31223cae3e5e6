// Server is the gateway of wetoken as a program: it reads a configuration, and serves the apps in it to our own
// services (private) and to WeChat and browsers (public).
//
//	server -config wetoken.yaml
//	server -demo
//	server migrate -config wetoken.yaml     makes the tables of its databases; safe to repeat
//	server seal -config wetoken.yaml        seals all that is stored with the current master key
//
// Each flag may stand in the environment instead, as WETOKEN_CONFIG, WETOKEN_STORE and so on; flags win over the
// environment, and both over the file. A configuration that cannot be served, a store that cannot be used and master
// keys that do not fit are one line on standard error and exit code 2. SIGTERM lets the requests under way finish.
//
// # Stores
//
// The configuration names two, by URL: store, which all servers share and which may be lost, and records, which must
// not be; records is the store where it is not named.
//
//	memory:                                       this process alone, until it ends; the default
//	sqlite:FILE                                   the servers of one machine; the file and its table are made
//	redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]    also redis-sentinel://HOST,HOST/MASTER[/DB] and redis-cluster://HOST,HOST;
//	                                              rediss, rediss-sentinel and rediss-cluster speak TLS
//	mysql://USER:PASSWORD@HOST[:PORT]/NAME        and MariaDB; parameters are those of go-sql-driver/mysql, such as tls=true
//	postgres://USER:PASSWORD@HOST[:PORT]/NAME     parameters are those of libpq, such as sslmode=verify-full
//	oracle://USER:PASSWORD@HOST[:PORT]/SERVICE    options are those of go-ora; has been run against no Oracle server
//
// In a user or a password, reserved characters are written %XX. MySQL, PostgreSQL and Oracle need server migrate once,
// by a user who may make tables.
//
// # Master keys
//
// WETOKEN_MASTER_KEYS encrypts whatever is stored: keys in base64 with commas between them, the current one first and
// previous ones after it. openssl rand -base64 32 makes one. To change it while servers run, start them again one by
// one with OLD,NEW and then with NEW,OLD; run server seal with the same; then start them with NEW. To encrypt what was
// stored without keys, stop all servers, run server seal -plaintext, and start them with keys.
package main
