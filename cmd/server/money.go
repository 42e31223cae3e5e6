package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"os"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/wetoken/wetoken/gateway"
)

// checkMoney returns an error if payments or the authorizations of accounts could be lost, or would be stored without encryption.
func checkMoney(c gateway.Config) error {
	if c.HasPay() {
		return checkPayRecords(c)
	}
	if c.HasPlatform() {
		return checkPlatformRecords(c)
	}
	return nil
}

// checkPlatformRecords returns an error if the records of a configuration may not keep the refresh tokens of accounts.
func checkPlatformRecords(c gateway.Config) error {
	if !isDurable(c.Records) {
		return errors.New("records: must name a store that keeps refresh tokens through a restart, since an app is a platform: such as sqlite:/var/lib/wetoken/records.db, postgres:// or mysql://; redis:// with appendonly yes and maxmemory-policy noeviction")
	}
	if _, ok := os.LookupEnv("WETOKEN_MASTER_KEYS"); !ok {
		return errors.New("WETOKEN_MASTER_KEYS: must be set, since an app is a platform: records keeps the refresh tokens of accounts")
	}
	return nil
}

// checkPayRecords returns an error if the records of a configuration may not keep payments.
func checkPayRecords(c gateway.Config) error {
	if !isDurable(c.Records) {
		return errors.New("records: must name a store that keeps orders through a restart, since an app has pay: such as sqlite:/var/lib/wetoken/records.db, postgres:// or mysql://; redis:// with appendonly yes and maxmemory-policy noeviction")
	}
	if _, ok := os.LookupEnv("WETOKEN_MASTER_KEYS"); !ok {
		return errors.New("WETOKEN_MASTER_KEYS: must be set, since an app has pay: records keeps the names and payment codes of people")
	}
	return nil
}

// checkImport returns an error if registered apps would be lost at the next restart, or stored without encryption.
func checkImport(c gateway.Config) error {
	if !isDurable(cmp.Or(c.Records, c.Store)) {
		return errors.New("records: must name a store that keeps registered apps through a restart: such as sqlite:/var/lib/wetoken/records.db, postgres:// or mysql://; redis:// with appendonly yes and maxmemory-policy noeviction")
	}
	if _, ok := os.LookupEnv("WETOKEN_MASTER_KEYS"); !ok {
		return errors.New("WETOKEN_MASTER_KEYS: must be set, since records keeps the secrets of registered apps")
	}
	return nil
}

// isDurable reports whether the store with a URL can keep its values through a restart. A database of SQLite can be in memory.
func isDurable(rawURL string) bool {
	file, isSQLite := strings.CutPrefix(rawURL, "sqlite:")
	inMemory := strings.Contains(file, ":memory:") || strings.Contains(file, "mode=memory") || strings.Contains(file, "vfs=memdb")
	return rawURL != "" && rawURL != "memory" && !strings.HasPrefix(rawURL, "memory:") && !(isSQLite && inMemory)
}

// decodeP12 decodes a PKCS #12 file with old or new encryption.
func decodeP12(file []byte, password string) (key any, certificate *x509.Certificate, err error) {
	key, certificate, _, err = pkcs12.DecodeChain(file, password)
	return key, certificate, err
}
