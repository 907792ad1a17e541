module github.com/fibersock/fibersock

go 1.25
