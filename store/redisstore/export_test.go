package redisstore

// Parse returns the options that Open reads from a URL.
var Parse = parseURL
