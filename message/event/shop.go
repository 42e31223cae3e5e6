package event

import "time"

// Events of official accounts about shops and products.

// ScanProduct is user_scan_product, user_scan_product_enter_session, user_scan_product_async and
// user_scan_product_verify_action: a product's code was scanned, or WeChat checked the product (微信扫一扫).
type ScanProduct struct {
	KeyStandard string // ean13 or qrcode
	KeyStr      string // the code
	ExtInfo     string
	Scene       int    // user_scan_product: 1 scanned, 2 opened in another way
	Country     string // user_scan_product: of the user, like Province, City and Sex
	Province    string
	City        string
	Sex         int
	RegionCode  string // user_scan_product_async: where the user is
	Result      string // user_scan_product_verify_action: verify_ok or verify_not_pass
	ReasonMsg   string // user_scan_product_verify_action
}

// Shake is ShakearoundUserShake: the user shook their phone near beacons (摇一摇周边).
type Shake struct {
	ChosenBeacon  Beacon
	AroundBeacons []Beacon `wechat:"AroundBeacons>AroundBeacon,AroundBeacons"`
}

// Beacon is a beacon of a Shake.
type Beacon struct {
	UUID     string
	Major    int
	Minor    int
	Distance float64 // metres
}

// WifiConnected is WifiConnected: the user has joined a shop's Wi-Fi (微信连Wi-Fi).
type WifiConnected struct {
	ConnectTime time.Time
	ExpireTime  time.Time
	VendorID    string
	ShopID      string
	PlaceID     string // replaces ShopID in older documents
	DeviceNo    string
}

// PoiCheck is poi_check_notify: WeChat checked a shop (门店审核结果).
type PoiCheck struct {
	UniqID string // the account's own number of the shop
	PoiID  string // WeChat's
	Result string // succ or fail
	Msg    string
}
