module github.com/wetoken/wetoken

go 1.25.0

require (
	github.com/go-resty/resty/v2 v2.17.2
	github.com/patrickmn/go-cache v2.1.0+incompatible
	github.com/stretchr/testify v1.12.1
	rsc.io/qr v0.2.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/net v0.43.0 // indirect
)
