package secret_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/secret"
)

var (
	errWrong = errors.New("wrong secret")
	errAway  = errors.New("no answer")
)

func TestTheSecretThatIsAcceptedIsUsedFromThenOn(t *testing.T) {
	var c secret.Choice
	accepted, answer, calls := "old", error(nil), []string(nil)
	call := func(next string) (bool, error) {
		calls = nil
		return c.Call("old", next, func(err error) bool { return errors.Is(err, errWrong) }, func(s string) error {
			calls = append(calls, s)
			if s != accepted {
				return errWrong
			}
			return answer
		})
	}
	for _, step := range []struct {
		name, next, accepted string
		answer               error
		calls                []string
		switched             bool
		err                  error
	}{
		{"no next one", "", "old", nil, []string{"old"}, false, nil},
		{"no next one, and a wrong one", "", "new", nil, []string{"old"}, false, errWrong},
		{"before the reset", "new", "old", nil, []string{"old"}, false, nil},
		{"WeChat is away", "new", "old", errAway, []string{"old"}, false, errAway},
		{"both are wrong", "new", "other", nil, []string{"old", "new"}, false, errWrong},
		{"WeChat is away for the next one", "new", "new", errAway, []string{"old", "new"}, false, errAway},
		{"after the reset", "new", "new", nil, []string{"old", "new"}, true, nil},
		{"the next time", "new", "new", nil, []string{"new"}, false, nil},
		{"both are wrong again", "new", "other", nil, []string{"new", "old"}, false, errWrong},
		{"the reset is taken back", "new", "old", nil, []string{"new", "old"}, true, nil},
		{"and the time after", "new", "old", nil, []string{"old"}, false, nil},
	} {
		accepted, answer = step.accepted, step.answer
		switched, err := call(step.next)
		require.ErrorIs(t, err, step.err, step.name)
		require.Equal(t, step.calls, calls, step.name)
		require.Equal(t, step.switched, switched, step.name)
	}
}
