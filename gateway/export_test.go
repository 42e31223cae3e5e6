package gateway

// Decode reads JSON into a part of the configuration.
var Decode = decode
