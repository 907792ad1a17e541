module github.com/fibersock/fibersock/interop

go 1.25

require (
	github.com/coder/websocket v1.8.15
	github.com/fibersock/fibersock v0.0.0
	github.com/gorilla/websocket v1.5.3
)

replace github.com/fibersock/fibersock => ../
