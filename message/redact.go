package message

import "github.com/wetoken/wetoken/internal/redact"

// redacted hides the secrets of a struct when it is printed.
type redacted = redact.Struct
