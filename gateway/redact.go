package gateway

import (
	"encoding/json"
	"fmt"

	"github.com/wetoken/wetoken/internal/redact"
)

// redacted keeps the secrets of a struct out of what is printed.
type redacted = redact.Struct

// plainConfig and its like are the structs of a configuration without the methods that keep their secrets out of what is
// printed and encoded.
type (
	plainConfig  Config
	plainKey     Key
	plainApp     App
	plainMessage Message
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
