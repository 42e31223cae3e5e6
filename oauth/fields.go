package oauth

import (
	"fmt"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/wechat"
)

// checkFields returns an error that names a field whose value has blanks around it, or a kind of app without web login.
func (l *Login) checkFields() error {
	if err := field.CheckOneOf(l.kind(), wechat.Official, wechat.Website, wechat.Work); err != nil {
		return fmt.Errorf("Login.Kind %w", err)
	}
	return checkBlanks("Login", [][2]string{
		{"AppID", l.AppID}, {"Secret", l.Secret}, {"NextSecret", l.NextSecret}, {"SignKey", l.SignKey}, {"PreviousSignKey", l.PreviousSignKey},
	})
}

func (m *Mini) checkFields() error {
	return checkBlanks("Mini", [][2]string{{"AppID", m.AppID}, {"Secret", m.Secret}, {"NextSecret", m.NextSecret}})
}

func checkBlanks(owner string, fields [][2]string) error {
	for _, f := range fields {
		if err := field.CheckBlanks(f[1]); err != nil {
			return fmt.Errorf("%s.%s %w", owner, f[0], err)
		}
	}
	return nil
}
