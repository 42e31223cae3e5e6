package account_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/examples/miniapp/dbtest"
	"github.com/wetoken/wetoken/examples/miniapp/store"
)

// onEach runs a test on SQLite and on MariaDB.
func onEach(t *testing.T, test func(t *testing.T, db *store.DB, s *account.Service)) {
	for name, open := range map[string]func(testing.TB) *store.DB{"SQLite": dbtest.SQLite, "MariaDB": dbtest.MariaDB} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			test(t, db, &account.Service{Store: db})
		})
	}
}

func count(t *testing.T, db *store.DB, table string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n))
	return n
}

func login(t *testing.T, s *account.Service, appID, openID, unionID string) (string, account.Account) {
	t.Helper()
	token, a, err := s.Login(t.Context(), account.Identity{AppID: appID, OpenID: openID, UnionID: unionID})
	require.NoError(t, err)
	return token, a
}

func TestManyFirstLoginsOfOneUserMakeOneAccount(t *testing.T) {
	onEach(t, func(t *testing.T, db *store.DB, s *account.Service) {
		var all sync.WaitGroup
		errs := make(chan error, 20)
		for i := range 20 {
			all.Go(func() {
				app := fmt.Sprintf("app%d", i%2) // the mini program and the official account
				_, _, err := s.Login(t.Context(), account.Identity{AppID: app, OpenID: "o-" + app, UnionID: "u1"})
				errs <- err
			})
		}
		all.Wait()
		for range 20 {
			require.NoError(t, <-errs)
		}
		require.Equal(t, 1, count(t, db, "miniapp_account"))
		require.Equal(t, 2, count(t, db, "miniapp_identity"))
		require.Equal(t, 20, count(t, db, "miniapp_token"))
	})
}

func TestOpenIDsThatDifferByCaseAreDifferentUsers(t *testing.T) {
	onEach(t, func(t *testing.T, _ *store.DB, s *account.Service) {
		_, a := login(t, s, "app", "oAbc", "")
		_, b := login(t, s, "app", "oabc", "")
		_, again := login(t, s, "app", "oAbc", "")
		require.NotEqual(t, a.ID, b.ID)
		require.Equal(t, a.ID, again.ID)
		require.True(t, a.Initial())
		require.NotEqual(t, a.UserName, b.UserName)
	})
}

func TestATokenIsStoredHashedAndEnds(t *testing.T) {
	onEach(t, func(t *testing.T, db *store.DB, s *account.Service) {
		token, a := login(t, s, "app", "o1", "")
		require.NotContains(t, token, "_")
		var hash string
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT hash FROM miniapp_token").Scan(&hash))
		require.NotContains(t, hash, strings.ToLower(token))
		session, err := s.Session(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, a.ID, session.Account.ID)
		require.Equal(t, "o1", session.OpenID)
		require.WithinDuration(t, time.Now().Add(30*24*time.Hour), session.ExpiresAt, time.Minute)
		for _, other := range []string{"", strings.ToLower(token), token + "x", hash, strings.Repeat("x", 1000)} {
			_, err = s.Session(t.Context(), other)
			require.ErrorIs(t, err, account.ErrToken, other)
		}

		s.TokenLife = time.Nanosecond
		short, _ := login(t, s, "app", "o1", "")
		_, err = s.Session(t.Context(), short)
		require.ErrorIs(t, err, account.ErrToken)
		s.TokenLife = 0
		login(t, s, "app", "o1", "")
		require.Equal(t, 2, count(t, db, "miniapp_token"), "the ended one is deleted")
	})
}

func TestAPhoneBelongsToOneAccount(t *testing.T) {
	onEach(t, func(t *testing.T, db *store.DB, s *account.Service) {
		token, _ := login(t, s, "app", "o1", "")
		other, _ := login(t, s, "app", "o2", "")
		fresh, a, err := s.BindPhone(t.Context(), token, "13800138000")
		require.NoError(t, err)
		require.Equal(t, "13800138000", a.UserName)
		require.False(t, a.Initial())
		_, err = s.Session(t.Context(), token)
		require.ErrorIs(t, err, account.ErrToken, "the token is replaced")

		_, _, err = s.BindPhone(t.Context(), other, "13800138000")
		require.ErrorIs(t, err, account.ErrPhoneBound)
		session, err := s.Session(t.Context(), other)
		require.NoError(t, err, "the refused one stays logged in")
		require.True(t, session.Account.Initial())

		_, a, err = s.BindPhone(t.Context(), fresh, "+4412345678")
		require.NoError(t, err, "a person may change the phone")
		require.Equal(t, "+4412345678", a.UserName)
		_, _, err = s.BindPhone(t.Context(), other, "13800138000")
		require.NoError(t, err, "which frees the old one")
		for _, bad := range []string{"", "1", "138 0013 8000", "13800138000'--", strings.Repeat("1", 30)} {
			_, _, err = s.BindPhone(t.Context(), other, bad)
			require.ErrorIs(t, err, account.ErrPhone)
		}
		require.Equal(t, 2, count(t, db, "miniapp_account"))
	})
}

func TestOneOfTwoAccountsGetsAPhoneThatBothWant(t *testing.T) {
	onEach(t, func(t *testing.T, _ *store.DB, s *account.Service) {
		errs := make(chan error, 8)
		for i := range cap(errs) {
			token, _ := login(t, s, "app", fmt.Sprint("o", i), "")
			go func() {
				_, _, err := s.BindPhone(t.Context(), token, "13800138000")
				errs <- err
			}()
		}
		bound := 0
		for range cap(errs) {
			if err := <-errs; err == nil {
				bound++
			} else {
				require.ErrorIs(t, err, account.ErrPhoneBound)
			}
		}
		require.Equal(t, 1, bound)
	})
}

func TestAccountsOfOneUnionIDBecomeOne(t *testing.T) {
	onEach(t, func(t *testing.T, db *store.DB, s *account.Service) {
		// The apps join their open platform account after both have users.
		mini, a := login(t, s, "mini", "o-mini", "")
		official, b := login(t, s, "official", "o-official", "")
		require.NotEqual(t, a.ID, b.ID)
		mini, _, err := s.BindPhone(t.Context(), mini, "13800138000")
		require.NoError(t, err)
		_, err = s.UpdateProfile(t.Context(), b.ID, "小明", "https://example.com/1.png")
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "UPDATE miniapp_account SET points = points + 5")
		require.NoError(t, err)

		login(t, s, "official", "o-official", "u1")
		_, merged := login(t, s, "mini", "o-mini", "u1")
		require.Equal(t, a.ID, merged.ID, "the one with the phone stays")
		require.Equal(t, "小明", merged.Nickname)
		require.EqualValues(t, 10, merged.Points)
		for _, token := range []string{mini, official} {
			session, err := s.Session(t.Context(), token)
			require.NoError(t, err, "both stay logged in")
			require.Equal(t, a.ID, session.Account.ID)
			require.Equal(t, "13800138000", session.Account.UserName)
		}
		require.Equal(t, 1, count(t, db, "miniapp_account"))
	})
}

func TestAccountsWithTwoPhonesStayApart(t *testing.T) {
	old, young := time.Unix(1, 0), time.Unix(2, 0)
	for _, c := range []struct {
		a, b  account.Account
		keeps string
		ok    bool
	}{
		{account.Account{ID: "a", CreatedAt: old}, account.Account{ID: "b", CreatedAt: young}, "a", true},
		{account.Account{ID: "a", CreatedAt: young}, account.Account{ID: "b", CreatedAt: old}, "b", true},
		{account.Account{ID: "a", CreatedAt: young, Phone: "1"}, account.Account{ID: "b", CreatedAt: old}, "a", true},
		{account.Account{ID: "a", CreatedAt: old}, account.Account{ID: "b", CreatedAt: young, Phone: "1"}, "b", true},
		{account.Account{ID: "a", CreatedAt: old, Phone: "1"}, account.Account{ID: "b", CreatedAt: young, Phone: "2"}, "", false},
	} {
		keep, drop, ok := account.Merged(c.a, c.b)
		require.Equal(t, c.ok, ok)
		if ok {
			require.Equal(t, c.keeps, keep.ID)
			require.NotEqual(t, keep.ID, drop.ID)
		}
	}
}

func TestProfilesAreAsThePersonGivesThem(t *testing.T) {
	onEach(t, func(t *testing.T, db *store.DB, s *account.Service) {
		_, a := login(t, s, "app", "o1", "")
		for _, good := range []string{"小明", `<b>"O'Neil"</b>`, "👨‍👩‍👧 family", strings.Repeat("名", 32)} {
			changed, err := s.UpdateProfile(t.Context(), a.ID, good, "")
			require.NoError(t, err, good)
			require.Equal(t, good, changed.Nickname)
		}
		for _, bad := range []string{strings.Repeat("名", 33), "a\x14b", "a\nb", "\u200d\u200d", "\xff", "\u202egnp.exe"} {
			_, err := s.UpdateProfile(t.Context(), a.ID, bad, "")
			require.ErrorIs(t, err, account.ErrNickname, "%q", bad)
		}
		for _, bad := range []string{
			"http://example.com/1.png", "javascript:alert(1)", "/etc/passwd", "https://u:p@example.com/", "https://" + strings.Repeat("a", 600),
			"data:image/png;base64,AAAA", "data:image/svg+xml;base64,PHN2Zy8+", "data:image/png,x", "data:image/png;base64," + strings.Repeat("A", 400<<10),
		} {
			_, err := s.UpdateProfile(t.Context(), a.ID, "", bad)
			require.ErrorIs(t, err, account.ErrAvatar, "%.60s", bad)
		}
		const pixel = "data:image/jpeg;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
		for range 2 {
			changed, err := s.UpdateProfile(t.Context(), a.ID, "", pixel)
			require.NoError(t, err)
			name, ok := strings.CutPrefix(changed.Avatar, account.PicturePath)
			require.True(t, ok)
			p, ok, err := s.Store.Picture(t.Context(), name)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, "image/png", p.Type, "the type is that of the data")
		}
		require.Equal(t, 1, count(t, db, "miniapp_picture"), "the old one is deleted")
	})
}

func TestNicknamesOfWeChatBecomeValid(t *testing.T) {
	for in, want := range map[string]string{
		"小明": "小明", "a\x14b\u202ec": "abc", " \x00 ": "", strings.Repeat("名", 40): strings.Repeat("名", 32), "\xffx": "x",
	} {
		require.Equal(t, want, account.CleanNickname(in), "%q", in)
	}
	require.Equal(t, "https://thirdwx.qlogo.cn/1", account.CleanAvatar("http://thirdwx.qlogo.cn/1"))
	require.Empty(t, account.CleanAvatar("javascript:1"))
}
