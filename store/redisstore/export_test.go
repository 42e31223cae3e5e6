package redisstore

// Parse shows what Open makes of a URL.
var Parse = parse
