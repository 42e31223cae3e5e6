package account

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	_ "image/jpeg" // formats of avatars
	_ "image/png"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Picture is an avatar that a person uploaded.
type Picture struct {
	Name string // random; nobody finds the picture without it
	Type string // image/png or image/jpeg
	Data []byte
}

const (
	maxNickname  = 32 // characters
	maxAvatarURL = 512
	maxPicture   = 256 << 10
	maxSide      = 4096 // pixels

	// PicturePath is the path of uploaded avatars.
	PicturePath = "/avatar/"
)

// UpdateProfile sets the nickname and the avatar of an account as the person gives them: since 2022 WeChat gives neither. An
// empty one stays as it is. The avatar is an https URL, or a data URL with the picture.
func (s *Service) UpdateProfile(ctx context.Context, accountID, nickname, avatar string) (a Account, err error) {
	nickname = strings.TrimSpace(nickname)
	if nickname != "" && !validNickname(nickname) {
		return Account{}, ErrNickname
	}
	var picture *Picture
	if strings.HasPrefix(avatar, "data:") {
		if picture, err = parsePicture(avatar); err != nil {
			return Account{}, err
		}
		avatar = PicturePath + picture.Name
	} else if avatar != "" && !validAvatar(avatar) {
		return Account{}, ErrAvatar
	}
	err = s.Store.Change(ctx, func(tx Tx) (err error) {
		if a, err = tx.ByID(ctx, accountID); err != nil {
			return err
		}
		if a.ID == "" {
			return ErrToken
		}
		if nickname != "" {
			a.Nickname = nickname
		}
		if avatar != "" {
			a.Avatar = avatar
		}
		if picture != nil {
			if err := tx.SetPicture(ctx, a.ID, *picture); err != nil {
				return err
			}
		}
		return tx.Save(ctx, a)
	})
	return a, err
}

func validNickname(name string) bool {
	return utf8.ValidString(name) && utf8.RuneCountInString(name) <= maxNickname &&
		strings.IndexFunc(name, isInvisible) < 0 && strings.Trim(name, string(joiner)) != ""
}

const joiner = '\u200d' // of an emoji that consists of others

func isInvisible(r rune) bool { return !unicode.IsPrint(r) && r != joiner }

// CleanNickname returns the nickname of a WeChat user as a valid one, or "". WeChat allows control characters.
func CleanNickname(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if isInvisible(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "")))
	name = strings.TrimSpace(string(runes[:min(len(runes), maxNickname)]))
	if !validNickname(name) {
		return ""
	}
	return name
}

// CleanAvatar returns the avatar of a WeChat user by https, which WeChat's hosts have, or "".
func CleanAvatar(address string) string {
	if rest, ok := strings.CutPrefix(address, "http://"); ok {
		address = "https://" + rest
	}
	if !validAvatar(address) {
		return ""
	}
	return address
}

func validAvatar(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && len(address) <= maxAvatarURL
}

// parsePicture decodes a data URL. The type is that of the data, whatever the URL says.
func parsePicture(address string) (*Picture, error) {
	_, text, ok := strings.Cut(address, ";base64,")
	if !ok || len(text) > base64.StdEncoding.EncodedLen(maxPicture) {
		return nil, ErrAvatar
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, ErrAvatar
	}
	size, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || size.Width > maxSide || size.Height > maxSide || len(data) > maxPicture {
		return nil, ErrAvatar
	}
	return &Picture{Name: randomID(), Type: "image/" + format, Data: data}, nil
}
