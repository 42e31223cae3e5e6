module github.com/wetoken/wetoken/cmd/server

go 1.26.0

require (
	github.com/wetoken/wetoken v0.1.0
	go.yaml.in/yaml/v3 v3.0.5
)

require (
	github.com/go-resty/resty/v2 v2.17.2 // indirect
	github.com/patrickmn/go-cache v2.1.0+incompatible // indirect
	golang.org/x/net v0.43.0 // indirect
)
