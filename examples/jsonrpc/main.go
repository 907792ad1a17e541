// Jsonrpc has a server and a client of JSON-RPC 2.0: calls of many goroutines
// share one connection, and answers may arrive in another order.
//
//	go run ./examples/jsonrpc           # serves ws://localhost:8080/
//	go run ./examples/jsonrpc sum 1 2 3 # calls a method, in another terminal
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"
)

func main() {
	if len(os.Args) == 1 {
		log.Fatal(newServer(methods).ListenAndServe("localhost:8080"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := call(ctx, "ws://localhost:8080/", os.Args[1], os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

// methods are the methods of this server.
var methods = map[string]method{
	"sum": func(params json.RawMessage) (any, error) {
		var terms []float64
		if err := json.Unmarshal(params, &terms); err != nil {
			return nil, &rpcError{Code: -32602, Message: "the parameters are no list of numbers"}
		}
		sum := 0.0
		for _, term := range terms {
			sum += term
		}
		return sum, nil
	},
	"sleep": func(params json.RawMessage) (any, error) {
		var seconds []float64
		if err := json.Unmarshal(params, &seconds); err != nil || len(seconds) != 1 || seconds[0] > 60 {
			return nil, &rpcError{Code: -32602, Message: "the parameter is no number of seconds up to 60"}
		}
		time.Sleep(time.Duration(seconds[0] * float64(time.Second)))
		return "rested", nil
	},
}

// call prints the result of a method. The parameters are JSON values.
func call(ctx context.Context, url, method string, args []string) error {
	params := make([]json.RawMessage, len(args))
	for i, arg := range args {
		params[i] = json.RawMessage(arg)
	}
	c, err := dial(ctx, url)
	if err != nil {
		return err
	}
	defer c.close()
	var result json.RawMessage
	if err := c.call(ctx, method, params, &result); err != nil {
		return err
	}
	fmt.Printf("%s\n", result)
	return nil
}
