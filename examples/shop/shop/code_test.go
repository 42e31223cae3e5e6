package shop_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/store"
)

const mobile = "13800138000"

// users are accounts in memory, for tests with a clock.
type users struct {
	shop.Store
	byName map[string]shop.User
}

func (u *users) AddUser(_ context.Context, user shop.User) (int64, error) {
	if _, ok := u.byName[user.Username]; ok {
		return 0, shop.ErrExists
	}
	user.ID = int64(len(u.byName)) + 1
	u.byName[user.Username] = user
	return user.ID, nil
}

func (u *users) UserByName(_ context.Context, name string) (shop.User, error) {
	if user, ok := u.byName[name]; ok {
		return user, nil
	}
	return shop.User{}, shop.ErrNotFound
}

// inMemory returns a shop that a bubble of synctest can use.
func inMemory() (*shop.Shop, *shoptest.Phones) {
	phones := new(shoptest.Phones)
	return &shop.Shop{
		Store: &users{byName: make(map[string]shop.User)}, Shared: new(store.Memory),
		Sender: phones, Key: shoptest.Key, PasswordCost: bcrypt.MinCost,
	}, phones
}

func registration(username, code string) shop.Registration {
	return shop.Registration{Username: username, Password: "abc123", Mobile: mobile, Code: code}
}

func TestACodeEndsAfterFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, phones := inMemory()
		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		time.Sleep(5 * time.Minute)
		_, err := s.Register(t.Context(), registration("alice", phones.Code(mobile)))
		require.ErrorIs(t, err, shop.ErrCode)

		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		time.Sleep(5*time.Minute - time.Millisecond)
		u, err := s.Register(t.Context(), registration("alice", phones.Code(mobile)))
		require.NoError(t, err)
		require.Equal(t, mobile, u.Mobile)
	})
}

func TestAMobileGetsOneCodeAMinuteAndTenADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, phones := inMemory()
		for i := range 10 {
			address := fmt.Sprintf("192.0.2.%d", i)
			require.NoError(t, s.SendCode(t.Context(), mobile, address))
			time.Sleep(time.Minute - time.Millisecond)
			require.ErrorIs(t, s.SendCode(t.Context(), mobile, address), shop.ErrLimited)
			time.Sleep(time.Millisecond)
		}
		require.ErrorIs(t, s.SendCode(t.Context(), mobile, "192.0.2.99"), shop.ErrLimited)
		require.NoError(t, s.SendCode(t.Context(), "13900139000", "192.0.2.99"))
		time.Sleep(24*time.Hour - 10*time.Minute)
		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.99"))
		require.Equal(t, 12, phones.Sent())
	})
}

func TestAnAddressGetsFiveCodesAMinuteAndAHundredADay(t *testing.T) {
	for name, address := range map[string]func(i int) string{
		"IPv4":            func(int) string { return "192.0.2.1" },
		"IPv4 in IPv6":    func(i int) string { return []string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2] },
		"a network of v6": func(i int) string { return fmt.Sprintf("2001:db8:1:2:%x::%x", i, i) },
		"none":            func(i int) string { return fmt.Sprintf("@%d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, phones := inMemory()
				tried := 0
				for range 20 {
					for i := range 6 {
						err := s.SendCode(t.Context(), fmt.Sprint(13800138000+tried), address(tried))
						require.Equal(t, i == 5, errors.Is(err, shop.ErrLimited), err)
						tried++
					}
					time.Sleep(time.Minute)
				}
				require.ErrorIs(t, s.SendCode(t.Context(), mobile, address(tried)), shop.ErrLimited)
				require.Equal(t, 100, phones.Sent())
				require.NoError(t, s.SendCode(t.Context(), mobile, "2001:db8:1:3::1"))
			})
		})
	}
}

func TestOnlyMobilesGetCodes(t *testing.T) {
	s, phones := inMemory()
	for _, number := range []string{"", "1380013800", "138001380000", "12800138000", "23800138000", "+8613800138000", "13800138000\n", "1380013800０", "' OR 1=1 --"} {
		require.ErrorIs(t, s.SendCode(t.Context(), number, "192.0.2.1"), shop.ErrInvalid, number)
	}
	require.Zero(t, phones.Sent())
	require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
	require.Regexp(t, `^[1-9][0-9]{3}$`, phones.Code(mobile))
}

func TestANewCodeReplacesTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, phones := inMemory()
		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		first := phones.Code(mobile)
		for first == phones.Code(mobile) { // one in 9000 is the same
			time.Sleep(time.Minute)
			require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		}
		_, err := s.Register(t.Context(), registration("alice", first))
		require.ErrorIs(t, err, shop.ErrCode)
		_, err = s.Register(t.Context(), registration("alice", phones.Code(mobile)))
		require.NoError(t, err)
	})
}

func TestACodeIsOfOneMobile(t *testing.T) {
	s, phones := inMemory()
	require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
	r := registration("alice", phones.Code(mobile))
	r.Mobile = "13900139000"
	_, err := s.Register(t.Context(), r)
	require.ErrorIs(t, err, shop.ErrCode)
}

func TestAStoredCodeIsOfNoUseWithoutTheKey(t *testing.T) {
	s, phones := inMemory()
	require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
	another := &shop.Shop{Store: s.Store, Shared: s.Shared, Key: s.Key + "x", PasswordCost: bcrypt.MinCost}
	_, err := another.Register(t.Context(), registration("alice", phones.Code(mobile)))
	require.ErrorIs(t, err, shop.ErrCode)
}

func TestASenderThatFailsIsAnError(t *testing.T) {
	s, phones := inMemory()
	phones.Err = errors.New("no credit")
	err := s.SendCode(t.Context(), mobile, "192.0.2.1")
	require.ErrorIs(t, err, shop.ErrSend)
	require.ErrorIs(t, err, phones.Err)
	require.NotContains(t, err.Error(), phones.Code(mobile))
}

func TestOfManyRequestsAtTwoProcessesOneSendsACode(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		one, _ := shoptest.Open(t, name)
		two, _ := shoptest.Open(t, name)
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				s := []*shop.Shop{one, two}[i%2]
				if err := s.SendCode(t.Context(), mobile, fmt.Sprintf("192.0.2.%d", i)); err != nil && !errors.Is(err, shop.ErrLimited) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, one.Sender.(*shoptest.Phones).Sent()+two.Sender.(*shoptest.Phones).Sent())
	})
}

// The tries come from two processes at the same time.
func TestFiveWrongTriesEndACode(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		one, _ := shoptest.Open(t, name)
		two, _ := shoptest.Open(t, name)
		require.NoError(t, one.SendCode(t.Context(), mobile, "192.0.2.1"))
		code := one.Sender.(*shoptest.Phones).Code(mobile)
		wrong := registration("alice", shoptest.Wrong(code))
		for range 4 {
			_, err := two.Register(t.Context(), wrong)
			require.ErrorIs(t, err, shop.ErrCode)
		}

		var tries sync.WaitGroup
		var accepted atomic.Int64
		for i := range 16 {
			tries.Go(func() {
				s := []*shop.Shop{one, two}[i%2]
				if _, err := s.Register(t.Context(), wrong); err == nil {
					accepted.Add(1)
				}
			})
		}
		tries.Wait()
		require.Zero(t, accepted.Load())
		_, err := one.Register(t.Context(), registration("alice", code))
		require.ErrorIs(t, err, shop.ErrCode)
	})
}

func TestACodeIsRightAfterFourWrongTries(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, _ := shoptest.Open(t, name)
		require.NoError(t, s.SendCode(t.Context(), mobile, "192.0.2.1"))
		code := s.Sender.(*shoptest.Phones).Code(mobile)
		for range 4 {
			_, err := s.Register(t.Context(), registration("alice", shoptest.Wrong(code)))
			require.ErrorIs(t, err, shop.ErrCode)
		}
		_, err := s.Register(t.Context(), registration("alice", code))
		require.NoError(t, err)
	})
}

func TestOfManyRegistrationsWithOneCodeOneWins(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		one, db := shoptest.Open(t, name)
		two, _ := shoptest.Open(t, name)
		require.NoError(t, one.SendCode(t.Context(), mobile, "192.0.2.1"))
		code := one.Sender.(*shoptest.Phones).Code(mobile)
		var all sync.WaitGroup
		var won atomic.Int64
		for i := range 16 {
			all.Go(func() {
				s := []*shop.Shop{one, two}[i%2]
				switch _, err := s.Register(t.Context(), registration(fmt.Sprintf("alice%d", i), code)); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, shop.ErrCode):
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
