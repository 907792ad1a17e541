package handshake

import "strconv"

// Error refuses a handshake: it is a server's answer to a request that it does not
// accept. A server may make its own, for what only it can know: 401, 404, 503.
type Error struct {
	Status int                 // HTTP status, 300 to 599 except 304
	Reason string              // for logs, never sent; text of the peer in it is quoted
	Header map[string][]string // further fields of the response, such as WWW-Authenticate

	// NotWebSocket says that the client did not ask for WebSocket: it sent plain HTTP, as
	// health checks and browsers do, or TLS to a port for plain HTTP.
	NotWebSocket bool

	bodiless bool // the answer to HEAD
}

func (e *Error) Error() string {
	text := "websocket: handshake refused with " + strconv.Itoa(e.Status) + " " + statusText(e.Status)
	if e.Reason == "" {
		return text
	}
	return text + ": " + e.Reason
}

// HTTPStatus returns the status to answer with: Status, or 500 if that is outside of
// what a refusal can have.
func (e *Error) HTTPStatus() int {
	if e == nil || e.Status < 300 || e.Status > 599 || e.Status == 304 {
		return 500
	}
	return e.Status
}

// AppendRefusal appends the whole HTTP response for e, after which the connection is to
// be closed. The body is e.Body, and is left out in the answer to a HEAD request. A status
// outside the range of [Error] becomes 500. Fields of e.Header that may not be sent are
// left out, as are those that AppendRefusal sets itself.
func AppendRefusal(dst []byte, e *Error) []byte {
	var extra map[string][]string
	if e != nil {
		extra = e.Header
	}
	body := e.Body()
	dst = appendAnswerHead(dst, e.HTTPStatus(), extra, plainText, len(body))
	if e != nil && e.bodiless {
		return dst
	}
	return append(dst, body...)
}

// Body returns the body of the refusal, one line of text. It depends on the status only:
// nothing of the request is in it, and nothing of e.Reason.
func (e *Error) Body() string {
	status := e.HTTPStatus()
	switch text := statusText(status); status {
	case 426:
		return text + ": this is a WebSocket endpoint\n"
	case 505: // RFC 9110, Section 15.6.6: which protocols are supported
		return text + ": this is a WebSocket endpoint over HTTP/1.1\n"
	default:
		return text + "\n"
	}
}

const plainText = "text/plain; charset=utf-8"

// appendAnswerHead appends the head of a response after which the connection is closed.
// contentType is the Content-Type, "" if extra has it or there is no body; length is that
// of the body, -1 if the status has none. Fields of extra that may not be sent are left out.
func appendAnswerHead(dst []byte, status int, extra map[string][]string, contentType string, length int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, statusText(status)...)
	dst = append(dst, "\r\n"...)

	names := sortedNames(extra)
	connection := "close"
	for _, name := range names {
		if equalFold(name, fieldUpgrade) {
			connection = "close, Upgrade" // RFC 9110, Section 7.8
		}
	}
	dst = appendField(dst, fieldConnection, connection)
	if contentType != "" {
		dst = appendField(dst, fieldContentType, contentType)
	}
	dst = appendField(dst, fieldContentTypeOptions, "nosniff")
	if length >= 0 {
		dst = appendField(dst, fieldContentLength, strconv.Itoa(length))
	}
	for _, name := range names {
		if !ValidToken(name) || setByAnswer(name) || contentType != "" && equalFold(name, fieldContentType) {
			continue
		}
		for _, value := range extra[name] {
			if ValidValue(value) {
				dst = appendField(dst, name, value)
			}
		}
	}
	return append(dst, "\r\n"...)
}

// setByAnswer reports whether appendAnswerHead alone sets the field.
func setByAnswer(name string) bool {
	for _, own := range [...]string{fieldConnection, fieldContentTypeOptions, fieldContentLength, fieldTransferEncoding} {
		if equalFold(name, own) {
			return true
		}
	}
	return false
}

// statusText names the status codes that a handshake or plain HTTP is likely to be
// answered with.
func statusText(status int) string {
	switch status {
	case 200:
		return "OK"
	case 204:
		return "No Content"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 410:
		return "Gone"
	case 414:
		return "URI Too Long"
	case 417:
		return "Expectation Failed"
	case 421:
		return "Misdirected Request"
	case 426:
		return "Upgrade Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	if status < 300 {
		return "Success"
	}
	return "Handshake Refused"
}
