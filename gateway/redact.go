package gateway

import (
	"encoding/json"
	"fmt"

	"github.com/wetoken/wetoken/internal/redact"
)

// redacted keeps the secrets of a struct out of printed and encoded text.
type redacted = redact.Struct

// The structs of a configuration without the methods that mask their secrets.
type (
	plainConfig  Config
	plainKey     Key
	plainApp     App
	plainMessage Message
	plainAPIv3   APIv3
	plainAPIv2   APIv2

	plainRegisteredApp      RegisteredApp
	plainRegisteredMerchant RegisteredMerchant
	plainRegisteredKey      RegisteredKey
)

func (c Config) masked() plainConfig {
	c.Store, c.Records = redact.Address(c.Store), redact.Address(c.Records)
	return redact.Copy(plainConfig(c))
}

// Format prints c with stars in place of its secrets and of the addresses of its stores.
func (c Config) Format(s fmt.State, verb rune) { redact.Format(s, verb, c.masked()) }

// MarshalJSON encodes c as Format prints it.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.masked()) }

// Format prints k with stars in place of the key.
func (k Key) Format(s fmt.State, verb rune) { redact.Format(s, verb, redact.Copy(plainKey(k))) }

// MarshalJSON encodes k as Format prints it.
func (k Key) MarshalJSON() ([]byte, error) { return json.Marshal(redact.Copy(plainKey(k))) }

// Format prints a with stars in place of its secrets.
func (a App) Format(s fmt.State, verb rune) { redact.Format(s, verb, redact.Copy(plainApp(a))) }

// MarshalJSON encodes a as Format prints it.
func (a App) MarshalJSON() ([]byte, error) { return json.Marshal(redact.Copy(plainApp(a))) }

// Format prints m with stars in place of its secrets.
func (m Message) Format(s fmt.State, verb rune) { redact.Format(s, verb, redact.Copy(plainMessage(m))) }

// MarshalJSON encodes m as Format prints it.
func (m Message) MarshalJSON() ([]byte, error) { return json.Marshal(redact.Copy(plainMessage(m))) }

// Format prints v with stars in place of its keys.
func (v APIv3) Format(s fmt.State, verb rune) { redact.Format(s, verb, redact.Copy(plainAPIv3(v))) }

// MarshalJSON encodes v as Format prints it.
func (v APIv3) MarshalJSON() ([]byte, error) { return json.Marshal(redact.Copy(plainAPIv3(v))) }

// Format prints v with stars in place of its keys.
func (v APIv2) Format(s fmt.State, verb rune) { redact.Format(s, verb, redact.Copy(plainAPIv2(v))) }

// MarshalJSON encodes v as Format prints it.
func (v APIv2) MarshalJSON() ([]byte, error) { return json.Marshal(redact.Copy(plainAPIv2(v))) }

// Format prints r with stars in place of the secrets of its app.
func (r RegisteredApp) Format(s fmt.State, verb rune) {
	redact.Format(s, verb, redact.Copy(plainRegisteredApp(r)))
}

// MarshalJSON encodes r as Format prints it.
func (r RegisteredApp) MarshalJSON() ([]byte, error) {
	return json.Marshal(redact.Copy(plainRegisteredApp(r)))
}

// Format prints k with stars in place of a key.
func (k RegisteredKey) Format(s fmt.State, verb rune) {
	redact.Format(s, verb, redact.Copy(plainRegisteredKey(k)))
}

// MarshalJSON encodes k as Format prints it.
func (k RegisteredKey) MarshalJSON() ([]byte, error) {
	return json.Marshal(redact.Copy(plainRegisteredKey(k)))
}

// Format prints r with stars in place of the keys of its merchant.
func (r RegisteredMerchant) Format(s fmt.State, verb rune) {
	redact.Format(s, verb, redact.Copy(plainRegisteredMerchant(r)))
}

// MarshalJSON encodes r as Format prints it.
func (r RegisteredMerchant) MarshalJSON() ([]byte, error) {
	return json.Marshal(redact.Copy(plainRegisteredMerchant(r)))
}
