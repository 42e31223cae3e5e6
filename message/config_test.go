package message_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
	wire "github.com/wetoken/wetoken/wechat"
)

func TestNewNamesTheInvalidField(t *testing.T) {
	good := official().config()
	for _, c := range []struct {
		change func(*message.Config)
		want   string
	}{
		{func(c *message.Config) { c.AppID = "" }, "Config.AppID"},
		{func(c *message.Config) { c.AppID = " wx1" }, "Config.AppID begins or ends with a blank"},
		{func(c *message.Config) { c.Token = "" }, "Config.Token"},
		{func(c *message.Config) { c.Token += "\n" }, "Config.Token"},
		{func(c *message.Config) { c.PreviousToken = " x" }, "Config.PreviousToken"},
		{func(c *message.Config) { c.EncodingAESKey += "\n" }, "Config.EncodingAESKey begins or ends with a blank"},
		{func(c *message.Config) { c.PreviousAESKey = "\ufeff" + sampleKey }, "Config.PreviousAESKey begins or ends with a blank"},
		{func(c *message.Config) { c.Forward.SignKeys = []string{"k "} }, "Config.Forward.SignKeys[0] begins or ends with a blank"},
		{func(c *message.Config) { c.Forward.SignKeys = []string{"k", "k\n"} }, "Config.Forward.SignKeys[1] begins or ends with a blank"},
		{func(c *message.Config) { c.EncodingAESKey = sampleKey[1:] }, "Config.EncodingAESKey is not an EncodingAESKey: it has 42 characters"},
		{func(c *message.Config) { c.EncodingAESKey = sampleKey + "=" }, "44 characters"},
		{func(c *message.Config) { c.EncodingAESKey = strings.Repeat("?", 43) }, "Config.EncodingAESKey"},
		{func(c *message.Config) { c.EncodingAESKey = sampleKey[:40] + "\n\n\n" }, "Config.EncodingAESKey"},
		{func(c *message.Config) { c.PreviousAESKey = "short" }, "Config.PreviousAESKey"},
		{func(c *message.Config) { c.EncodingAESKey, c.Mode = "", message.Secure }, "Config.EncodingAESKey is empty"},
		{func(c *message.Config) { c.EncodingAESKey, c.Mode = "", message.Compatible }, "Config.EncodingAESKey is empty"},
		{func(c *message.Config) { c.EncodingAESKey, c.PreviousAESKey = "", sampleKey }, "Config.EncodingAESKey is empty"},
		{func(c *message.Config) { c.Mode = "secret" }, `Config.Mode is "secret"`},
		{func(c *message.Config) { c.Kind = "miniprogram" }, `Config.Kind is "miniprogram": want official, mini or work`},
		{func(c *message.Config) { c.Kind = wire.Website }, `Config.Kind is "website": want official, mini or work`},
	} {
		config := good
		c.change(&config)
		in, err := message.New(config)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, "message: ")
		requireField(t, err)
		require.NotContains(t, err.Error(), sampleKey[:20], "an error holds no secret")
		require.Nil(t, in)
	}
	_, err := message.New(good)
	require.NoError(t, err)
}

// requireField requires that err is a ConfigError for an existing field of message.Config, and names no other field.
func requireField(t *testing.T, err error) {
	t.Helper()
	var wrong *message.ConfigError
	require.ErrorAs(t, err, &wrong)
	require.NotContains(t, wrong.Reason, "Config.")
	at := reflect.TypeFor[message.Config]()
	for name := range strings.SplitSeq(wrong.Field, ".") {
		name, _, indexed := strings.Cut(name, "[")
		f, ok := at.FieldByName(name)
		require.True(t, ok, wrong.Field)
		if at = f.Type; indexed {
			at = at.Elem()
		}
	}
}

func TestKeysWithSpareBitsAreAccepted(t *testing.T) {
	for _, key := range []string{sampleKey, strings.Repeat("A", 42) + "G", strings.Repeat("/", 42) + "/"} {
		w := official()
		w.key = key
		query, body := w.send("<xml><MsgType>text</MsgType></xml>")
		m, err := w.newReceiver(t).Open(query, body)
		require.NoError(t, err)
		require.Equal(t, "text", m.MsgType)
	}
}
