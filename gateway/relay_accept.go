package gateway

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The refusals that a backend may write into a 2xx response. They are searched for in the text, since a byte order mark, a warning
// of PHP or a page around it is not JSON.
var (
	errcodePattern = regexp.MustCompile(`(?i)["']errcode["']\s*:\s*("[^"]{0,64}"|[^\s,}\]]{1,64})|<errcode>\s*(?:<!\[CDATA\[)?\s*([^\s<\]]{1,64})`)
	failPattern    = regexp.MustCompile(`(?i)["'](?:code|return_code|result_code|status)["']\s*:\s*["'](fail|failed|failure|error)["']|<(?:return|result)_code>\s*(?:<!\[CDATA\[)?\s*(FAIL)|["']success["']\s*:\s*["']?(false)`)
	fatalPattern   = regexp.MustCompile(`(?:^|[\n>]|PHP )(?:Fatal error|Parse error|Uncaught exception)(?:</b>)?:`)
	failWord       = regexp.MustCompile(`(?i)^["'\s]*(fail|failed|failure|error)["'\s.!]*$`)
)

// checkAccepted returns an error if a 2xx response shows that the backend has not accepted a report: an errcode other than 0, a
// code such as FAIL, the single word fail, or the end of a PHP program. Any other response accepts it.
func checkAccepted(response []byte) error {
	text := strings.TrimPrefix(string(response), "\ufeff")
	if inner := ""; json.Unmarshal([]byte(text), &inner) == nil && inner != "" { // JSON that was encoded twice
		text = inner
	}
	for _, found := range errcodePattern.FindAllStringSubmatch(text, -1) {
		if code := strings.Trim(found[1]+found[2], `"' `); !isZero(code) {
			return fmt.Errorf("gateway: the backend replied errcode %.40q", code)
		}
	}
	if found := failPattern.FindStringSubmatch(text); found != nil {
		return fmt.Errorf("gateway: the backend replied %.80q", found[0])
	}
	if found := fatalPattern.FindString(text); found != "" {
		return fmt.Errorf("gateway: the backend ended with %q", strings.TrimSpace(found))
	}
	if found := failWord.FindStringSubmatch(text); found != nil {
		return fmt.Errorf("gateway: the backend replied %q", found[1])
	}
	return nil
}

// isZero reports whether the value of an errcode means success.
func isZero(code string) bool {
	if code == "" || strings.EqualFold(code, "null") || strings.EqualFold(code, "false") || strings.EqualFold(code, "ok") || strings.EqualFold(code, "success") {
		return true
	}
	n, err := strconv.ParseFloat(code, 64)
	return err == nil && n == 0
}
