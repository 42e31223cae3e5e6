package payv2

import "github.com/wetoken/wetoken/internal/redact"

// redacted keeps the secrets of a struct out of what is printed.
type redacted = redact.Struct
