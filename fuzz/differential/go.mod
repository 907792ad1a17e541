module github.com/fibersock/fibersock/fuzz/differential

go 1.26.0

require (
	github.com/fibersock/fibersock v0.0.0
	github.com/fibersock/fibersock/interop/peers v0.0.0
	github.com/gobwas/ws v1.5.0
	github.com/gorilla/websocket v1.5.3
)

require github.com/gobwas/httphead v0.1.0 // indirect

replace github.com/fibersock/fibersock => ../..

replace github.com/fibersock/fibersock/interop/peers => ../../interop/peers
