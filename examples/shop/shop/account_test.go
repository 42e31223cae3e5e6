package shop_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
)

// register adds a user whose password is abc123.
func register(t *testing.T, s *shop.Shop, username, mobile string) shop.User {
	t.Helper()
	require.NoError(t, s.SendCode(t.Context(), mobile, "198.51.100.1"))
	u, err := s.Register(t.Context(), shop.Registration{Username: username, Password: "abc123", Mobile: mobile, Code: s.Sender.(*shoptest.Phones).Code(mobile)})
	require.NoError(t, err)
	return u
}

func TestARegisteredUserLogsIn(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, db := shoptest.Open(t, name)
		registered := register(t, s, "alice", mobile)
		u, err := s.Login(t.Context(), "alice", "abc123", "192.0.2.1")
		require.NoError(t, err)
		require.Equal(t, registered, u)
		require.False(t, u.Admin)
		stored, err := db.User(t.Context(), u.ID)
		require.NoError(t, err)
		require.NotContains(t, stored.PasswordHash, "abc123")
		require.NoError(t, bcrypt.CompareHashAndPassword([]byte(stored.PasswordHash), []byte("abc123")))
	})
}

func TestARegistrationNamesItsFirstWrongField(t *testing.T) {
	s, _ := inMemory()
	for _, c := range []struct{ username, password, mobile, code, field string }{
		{"al", "abc123", mobile, "1234", "username"},
		{"alice'; DROP TABLE user; --", "abc123", mobile, "1234", "username"},
		{"<script>alert(1)</script>", "abc123", mobile, "1234", "username"},
		{strings.Repeat("a", 21), "abc123", mobile, "1234", "username"},
		{"alice\x00", "abc123", mobile, "1234", "username"},
		{"阿丽丝", "abc123", mobile, "1234", "username"},
		{"alice", "ab", mobile, "1234", "password"},
		{"alice", "abc 123", mobile, "1234", "password"},
		{"alice", strings.Repeat("a", 31), mobile, "1234", "password"},
		{"alice", "' OR '1'='1", mobile, "1234", "password"},
		{"alice", "abc123", "1380013800x", "1234", "mobile"},
		{"alice", "abc123", "", "1234", "mobile"},
		{"alice", "abc123", mobile, "", "smsCode"},
		{"alice", "abc123", mobile, "12345", "smsCode"},
		{"alice", "abc123", mobile, "1 OR", "smsCode"},
	} {
		_, err := s.Register(t.Context(), shop.Registration{Username: c.username, Password: c.password, Mobile: c.mobile, Code: c.code})
		require.ErrorIs(t, err, shop.ErrInvalid)
		var field *shop.FieldError
		require.ErrorAs(t, err, &field)
		require.Equal(t, c.field, field.Field, c)
	}
}

func TestATakenNameLeavesTheCodeForAFewOtherNames(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, _ := shoptest.Open(t, name)
		register(t, s, "alice", "13900139000")
		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		code := s.Sender.(*shoptest.Phones).Code(mobile)
		for range 4 {
			_, err := s.Register(t.Context(), registration("alice", code))
			require.ErrorIs(t, err, shop.ErrExists)
		}
		_, err := s.Register(t.Context(), registration("bob", code))
		require.NoError(t, err)
		_, err = s.Register(t.Context(), registration("carol", code))
		require.ErrorIs(t, err, shop.ErrCode)
	})
}

func TestACodeDoesNotProbeMoreThanFiveNames(t *testing.T) {
	s, phones := inMemory()
	require.NoError(t, s.SendCode(t.Context(), "13900139000", "192.0.2.1"))
	_, err := s.Register(t.Context(), shop.Registration{Username: "alice", Password: "abc123", Mobile: "13900139000", Code: phones.Code("13900139000")})
	require.NoError(t, err)
	require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
	for range 5 {
		_, err := s.Register(t.Context(), registration("alice", phones.Code(mobile)))
		require.ErrorIs(t, err, shop.ErrExists)
	}
	_, err = s.Register(t.Context(), registration("bob", phones.Code(mobile)))
	require.ErrorIs(t, err, shop.ErrCode)
}

func TestNamesInAnotherCaseAreTheSame(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, db := shoptest.Open(t, name)
		alice := register(t, s, "Alice", "13900139000")
		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		_, err := s.Register(t.Context(), registration("alice", s.Sender.(*shoptest.Phones).Code(mobile)))
		require.ErrorIs(t, err, shop.ErrExists)
		u, err := s.Login(t.Context(), "aLICE", "abc123", "192.0.2.1")
		require.NoError(t, err)
		require.Equal(t, alice, u)
		require.NoError(t, db.MakeAdmin(t.Context(), "alice"))
		u, err = db.User(t.Context(), alice.ID)
		require.NoError(t, err)
		require.True(t, u.Admin)
	})
}

func TestOfManyRegistrationsOfOneNameOneWins(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		one, db := shoptest.Open(t, name)
		two, _ := shoptest.Open(t, name)
		phones := one.Sender.(*shoptest.Phones)
		var all sync.WaitGroup
		var won atomic.Int64
		for i := range 8 {
			number := fmt.Sprint(13800138000 + i)
			require.NoError(t, one.SendCode(t.Context(), number, fmt.Sprintf("192.0.2.%d", i)))
			all.Go(func() {
				s := []*shop.Shop{one, two}[i%2]
				switch _, err := s.Register(t.Context(), shop.Registration{Username: "alice", Password: "abc123", Mobile: number, Code: phones.Code(number)}); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, shop.ErrExists):
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, int64(1), won.Load())
		var rows int
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM user").Scan(&rows))
		require.Equal(t, 1, rows)
	})
}

func TestHostileLoginsAreWrongPasswords(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, db := shoptest.Open(t, name)
		register(t, s, "alice", mobile)
		for i, username := range []string{
			"", "alice' --", "' OR '1'='1", "alice'; DROP TABLE user; --", `\' OR 1=1 #`, "<b>alice</b>", "alice\x00", "ali%", "alic_",
			"\xff\xfe", "😀", "alice\u202e", strings.Repeat("a", 51), strings.Repeat("a", 1<<20),
		} {
			_, err := s.Login(t.Context(), username, "abc123", fmt.Sprintf("192.0.2.%d", i))
			require.ErrorIs(t, err, shop.ErrPassword, username)
		}
		for i, password := range []string{
			"", "abc12", "abc1234", "ABC123", "abc123\x00", "abc123 ", "' OR '1'='1", "\xff", strings.Repeat("a", 72), strings.Repeat("a", 73), strings.Repeat("a", 1<<20),
		} {
			_, err := s.Login(t.Context(), "alice", password, fmt.Sprintf("198.51.100.%d", i))
			require.ErrorIs(t, err, shop.ErrPassword, password)
		}
		_, err := s.Login(t.Context(), "alice", "abc123", "203.0.113.1")
		require.NoError(t, err)
		var rows int
		require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM user").Scan(&rows))
		require.Equal(t, 1, rows)
	})
}

func TestAnUnknownUserTakesTheTimeOfAWrongPassword(t *testing.T) {
	s, _ := inMemory()
	s.PasswordCost = 6 // far above the rest of a login
	s.OldSalt = "salt"
	old := fmt.Sprintf("%x", md5.Sum([]byte("abc123salt")))
	s.Store.(*users).byName["old"] = shop.User{ID: 99, Username: "old", PasswordHash: old}
	require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
	_, err := s.Register(t.Context(), registration("alice", s.Sender.(*shoptest.Phones).Code(mobile)))
	require.NoError(t, err)

	shortest := map[string]time.Duration{}
	for range 3 {
		for _, username := range []string{"alice", "nobody", "old"} {
			start := time.Now()
			_, err := s.Login(t.Context(), username, "wrong1", "192.0.2.1")
			took := time.Since(start)
			require.ErrorIs(t, err, shop.ErrPassword)
			if least, ok := shortest[username]; !ok || took < least {
				shortest[username] = took
			}
		}
	}
	// Without the same work they would take a thousandth.
	require.Greater(t, shortest["nobody"], shortest["alice"]/10)
	require.Greater(t, shortest["old"], shortest["alice"]/10)
}

func TestLoginsAreLimitedPerUserAndAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, phones := inMemory()
		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		_, err := s.Register(t.Context(), registration("alice", phones.Code(mobile)))
		require.NoError(t, err)
		wrong := func(username, address string) error {
			_, err := s.Login(t.Context(), username, "wrong1", address)
			return err
		}

		for range 10 {
			require.ErrorIs(t, wrong("alice", "192.0.2.1"), shop.ErrPassword)
		}
		_, err = s.Login(t.Context(), "alice", "abc123", "192.0.2.1")
		require.ErrorIs(t, err, shop.ErrLimited, "the right password does not help")
		_, err = s.Login(t.Context(), "alice", "abc123", "192.0.2.2")
		require.NoError(t, err, "the user is not locked out elsewhere")
		require.ErrorIs(t, wrong("bob", "192.0.2.1"), shop.ErrPassword, "another user is")

		time.Sleep(15 * time.Minute)
		for range 9 {
			require.ErrorIs(t, wrong("alice", "192.0.2.1"), shop.ErrPassword)
		}
		_, err = s.Login(t.Context(), "alice", "abc123", "192.0.2.1")
		require.NoError(t, err)
		for range 10 {
			require.ErrorIs(t, wrong("alice", "192.0.2.1"), shop.ErrPassword, "a login ends the counting")
		}
		require.ErrorIs(t, wrong("alice", "192.0.2.1"), shop.ErrLimited)
	})
}

func TestLoginsOfAnAddressAndOfAUserAreLimited(t *testing.T) {
	s, _ := inMemory()
	limited := 0
	for i := range 101 {
		_, err := s.Login(t.Context(), fmt.Sprintf("nobody%d", i), "wrong1", "192.0.2.1")
		if errors.Is(err, shop.ErrLimited) {
			limited++
		}
	}
	require.Equal(t, 1, limited)
	limited = 0
	for i := range 101 {
		_, err := s.Login(t.Context(), "nobody", "wrong1", fmt.Sprintf("198.51.100.%d", i))
		if errors.Is(err, shop.ErrLimited) {
			limited++
		}
	}
	require.Equal(t, 1, limited)
}

func TestOneAddressDoesNotLockOutAUserElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, phones := inMemory()
		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		_, err := s.Register(t.Context(), registration("alice", phones.Code(mobile)))
		require.NoError(t, err)
		for range 8 { // two hours
			for range 101 {
				_, err := s.Login(t.Context(), "alice", "wrong1", "192.0.2.1")
				require.Error(t, err)
			}
			_, err = s.Login(t.Context(), "alice", "abc123", "192.0.2.2")
			require.NoError(t, err)
			time.Sleep(15 * time.Minute)
		}
	})
}

func TestAFloodOfLoginsAtTwoProcessesIsLimited(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		one, _ := shoptest.Open(t, name)
		two, _ := shoptest.Open(t, name)
		register(t, one, "alice", mobile)
		var all sync.WaitGroup
		var checked atomic.Int64
		for i := range 24 {
			all.Go(func() {
				s := []*shop.Shop{one, two}[i%2]
				switch _, err := s.Login(t.Context(), "alice", "wrong1", "192.0.2.1"); {
				case errors.Is(err, shop.ErrPassword):
					checked.Add(1)
				case !errors.Is(err, shop.ErrLimited):
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.LessOrEqual(t, checked.Load(), int64(10))
		require.Positive(t, checked.Load())
	})
}

func TestPasswordsOfTheOldProgramAreHashedAnew(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, db := shoptest.Open(t, name)
		_, err := db.DB.ExecContext(t.Context(), "INSERT INTO user (username, password, mobile) VALUES (?, ?, ?)",
			"old user", fmt.Sprintf("%x", md5.Sum([]byte("abc123salt"))), mobile)
		require.NoError(t, err)
		login := func(password string) error {
			_, err := s.Login(t.Context(), "old user", password, "192.0.2.1")
			return err
		}
		require.ErrorIs(t, login("abc123"), shop.ErrPassword, "without its salt")
		s.OldSalt = "salt"
		require.ErrorIs(t, login("abc124"), shop.ErrPassword)
		require.NoError(t, login("abc123"))
		u, err := db.UserByName(t.Context(), "old user")
		require.NoError(t, err)
		require.NoError(t, bcrypt.CompareHashAndPassword([]byte(u.PasswordHash), []byte("abc123")))
		s.OldSalt = ""
		require.NoError(t, login("abc123"))
	})
}
