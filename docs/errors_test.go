package docs_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

var (
	errorRow = regexp.MustCompile(`(?m)^\| (-?\d+(?:(?:, |、)\d+)*) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)
	codeRow  = regexp.MustCompile(`(?m)^\t(-?\d+): +\{"`)
	errcode  = regexp.MustCompile(`-?\d+`)
)

func TestEveryErrcodeOfTheTableIsOnThePage(t *testing.T) {
	pages := read(t, "errors")
	listed := make(map[string][]wechat.Code)
	for name, page := range pages {
		rows := errorRow.FindAllStringSubmatch(page, -1)
		require.Equal(t, strings.Count(page, "\n| ")-strings.Count(page, "\n| errcode |"), len(rows), "%s has a row that is not four cells", name)
		for _, row := range rows {
			for _, number := range errcode.FindAllString(row[1], -1) {
				n, err := strconv.Atoi(number)
				require.NoError(t, err)
				listed[name] = append(listed[name], wechat.Code(n))
				require.True(t, says(row[3], wechat.Code(n), name), "%s: %d: the gateway does not answer %s", name, n, row[3])
			}
		}
		require.Subset(t, listed[name], codesOfWeChat(t), name)
	}
	require.Equal(t, listed["errors.md"], listed["errors.zh-CN.md"], "both pages list the same codes in the same order")
}

// says reports whether cell is the gateway's answer to a refusal with c. A dash is for codes of calls that programs make
// themselves, which have no answer of their own.
func says(cell string, c wechat.Code, page string) bool {
	a := answer.Of(&wechat.Error{Code: c})
	want := strconv.Itoa(a.Status)
	if a.RetryAfter > 0 {
		format := "%s, `Retry-After: %d`"
		if strings.Contains(page, "zh-CN") {
			format = "%s（`Retry-After: %d`）"
		}
		want = fmt.Sprintf(format, want, a.RetryAfter)
	}
	return cell == want || cell == "–" && want == "502"
}

// codesOfWeChat returns the keys of the table of codes in package wechat.
func codesOfWeChat(t *testing.T) (codes []wechat.Code) {
	source, err := os.ReadFile("../wechat/code.go")
	require.NoError(t, err)
	for _, row := range codeRow.FindAllStringSubmatch(string(source), -1) {
		code, err := strconv.Atoi(row[1])
		require.NoError(t, err)
		codes = append(codes, wechat.Code(code))
	}
	require.Greater(t, len(codes), 30, "the table was not found")
	return codes
}
