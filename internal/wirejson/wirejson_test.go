package wirejson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/wirejson"
)

func TestCleanDropsControlCharactersInStringsAlone(t *testing.T) {
	for in, want := range map[string]string{
		"{\"a\":\"b\x14c\"}":                   `{"a":"bc"}`,
		"{\"a\x00\":\"\x1f\",\r\n\t\"b\":1\n}": "{\"a\":\"\",\r\n\t\"b\":1\n}",
		"{\"a\":\"\n\t\r\"}":                   `{"a":""}`,
		"{\"a\":\"\\\"\x14\"}":                 `{"a":"\""}`,
		"{\"a\":\"\\\\\",\n\"b\":\"\x01\"}":    "{\"a\":\"\\\\\",\n\"b\":\"\"}",
		"{\"a\":\"\\\x14n\\u\x0000\x1401\"}":   `{"a":"\n\u0001"}`,
		"\ufeff{\"a\":\"\ufeff\"}":             "{\"a\":\"\ufeff\"}",
		"\r\n\ufeff {}\n":                      "{}\n",
		"{\"a\":\"李\x14雷👍\x7f\xff\"}":          "{\"a\":\"李雷👍\x7f\xff\"}",
		"{\"a\":\x14\"b\"}":                    "{\"a\":\x14\"b\"}",
		"":                                     "",
		"\"\x14":                               `"`,
	} {
		given := []byte(in)
		require.Equal(t, want, string(wirejson.Clean(given)), "%q", in)
		require.Equal(t, in, string(given), "the input is not changed")
	}
}

func TestCleanWithoutDropsDoesNotAllocate(t *testing.T) {
	b := []byte("\ufeff" + `{"nickname":"李雷 \" \\ \u0014","list":[1,2]}` + "\r\n")
	require.Zero(t, testing.AllocsPerRun(100, func() { wirejson.Clean(b) }))
}

func TestErrorsContainTheOffsetAndNoContent(t *testing.T) {
	const hidden = "tiihtNczf5v6AKRyjwEUhQ"
	for in, offset := range map[string]string{
		`{"session_key":"` + hidden:                           "offset 38 of 38 bytes",
		`{"session_key":` + hidden + `}`:                      "offset 17 of 38 bytes",
		"\ufeff{\"a\":\"\x14\x14\x14\",\"b\":" + hidden + "}": "offset 20 of 41 bytes",
		"":                       "offset 0 of 0 bytes",
		`{"a":1}` + hidden:       "offset 8 of 29 bytes",
		"<html>" + hidden:        "offset 1 of 28 bytes",
		"{\"a\":\x14" + hidden:   "offset 6 of 28 bytes",
		"{\"a\":\"\\\x14\x14x\"": "offset 10 of 11 bytes",
	} {
		err := wirejson.Check([]byte(in))
		require.ErrorContains(t, err, offset, "%q", in)
		require.NotContains(t, err.Error(), hidden[:4])
		var syntax *wirejson.SyntaxError
		require.ErrorAs(t, wirejson.Unmarshal([]byte(in), new(any)), &syntax)
	}

	var out struct {
		Small int8
		Name  string
	}
	for in, want := range map[string]string{
		"{\"name\":\"\x14\",\"small\":123456}": "at offset 26",
		`{"small":"123456"}`:                   "at offset 17",
		`{"name":123456}`:                      "at offset 14",
	} {
		err := wirejson.Unmarshal([]byte(in), &out)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "123456")
		var mistyped *json.UnmarshalTypeError
		require.ErrorAs(t, err, &mistyped)
		require.NotContains(t, mistyped.Value, "123456")
	}
}

func TestIntReadsEachFormOfANumber(t *testing.T) {
	for in, want := range map[string]int64{
		`7200`: 7200, `7200.0`: 7200, `7.2e3`: 7200, `7200.9`: 7200, `"7200"`: 7200, `"7200.0"`: 7200, `" 7200 "`: 7200,
		`-1`: -1, `"-1"`: -1, `-1.0`: -1, `0`: 0, `""`: 0, `null`: 0, `"0"`: 0,
		`9007199254740993`: 9007199254740993, `"9223372036854775807"`: 9223372036854775807, `9007199254740992.0`: 1 << 53,
	} {
		var out struct{ N wirejson.Int }
		require.NoError(t, wirejson.Unmarshal([]byte(`{"n":`+in+`}`), &out), in)
		require.EqualValues(t, want, out.N, in)
	}
	for _, in := range []string{
		`"NaN"`, `"Inf"`, `"-Infinity"`, `"0x1p13"`, `"1_000"`, `"seven"`, `"7200s"`, `"7200 7200"`, `true`, `{}`, `[7200]`,
		`1e300`, `-1e300`, `1e999999999`, `9223372036854775808`, `"9007199254740994.5"`, `"` + strings.Repeat("1", 100) + `"`,
	} {
		var out struct {
			N wirejson.Int `json:"expires_in"`
		}
		err := wirejson.Unmarshal([]byte(`{"expires_in":`+in+`}`), &out)
		require.ErrorContains(t, err, "expires_in", in)
		require.NotContains(t, err.Error(), "7200", in)
		require.Zero(t, out.N)
	}
}

func TestTextReadsANumber(t *testing.T) {
	for in, want := range map[string]string{
		`"86"`: "86", `86`: "86", `86.0`: "86", `8.6e1`: "86", `"+86"`: "+86", `null`: "", `""`: "", `"a b"`: "a b",
		`13900139000`: "13900139000", `1.5`: "1.5", `18446744073709551616`: "18446744073709551616", `"\u674e"`: "李",
	} {
		var out struct{ T wirejson.Text }
		require.NoError(t, wirejson.Unmarshal([]byte(`{"t":`+in+`}`), &out), in)
		require.EqualValues(t, want, out.T, in)
	}
	for _, in := range []string{`true`, `{}`, `["86"]`, strings.Repeat("1", 100)} {
		var out struct{ T wirejson.Text }
		require.ErrorContains(t, wirejson.Unmarshal([]byte(`{"t":`+in+`}`), &out), ".T of type string", in)
	}
}

// FuzzClean adds control characters to the strings of JSON, which must not change the values.
func FuzzClean(f *testing.F) {
	for _, in := range []string{
		`{"a":"b\"c\\","\\\"":[1,2.5e3,null,"\u0014\ud83d\udc4d"]}`, `"\\"`, "\ufeff{}", " [\n\t\"\"\r] ", "{\"a\":\"\x14\"}", `"\`, `{"a":"` + "\xff\xfe",
		"\"\\\x14\"\"", "\xef\xbb", "",
	} {
		f.Add([]byte(in), []byte{0x14, 0, '\n', 0x1f})
	}
	f.Fuzz(func(t *testing.T, in, controls []byte) {
		clean := wirejson.Clean(in)
		require.Equal(t, clean, wirejson.Clean(clean), "cleaned twice")
		require.LessOrEqual(t, len(clean), len(in))
		if err := wirejson.Check(in); err != nil {
			require.False(t, json.Valid(clean))
			var syntax *wirejson.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.True(t, 0 <= syntax.Offset && syntax.Offset <= len(in))
			return
		}
		if json.Valid(in) {
			require.Equal(t, bytes.TrimLeft(in, " \t\r\n"), clean, "JSON is changed")
		}
		if len(controls) == 0 {
			return
		}
		dirty, within := []byte{}, false
		for i, c := range clean {
			if within {
				dirty = append(dirty, controls[i%len(controls)]&0x1f)
			}
			dirty = append(dirty, c)
			if c == '"' && (!within || !escaped(clean[:i])) {
				within = !within
			}
		}
		require.Equal(t, clean, wirejson.Clean(dirty))
	})
}

// escaped reports whether an odd number of backslashes ends b.
func escaped(b []byte) bool { return (len(b)-len(bytes.TrimRight(b, `\`)))%2 == 1 }
