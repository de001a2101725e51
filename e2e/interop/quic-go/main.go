// An independent QUIC and TLS 1.3: quic-go on Go's crypto/tls, as client or as server, for the tests of key exchange.
//
//	peer client ADDRESS SERVER-NAME CERT KEY CA GROUPS
//	peer server CERT KEY CA GROUPS      prints "port N" first, and runs until it is stopped
//
// GROUPS is a list such as X25519MLKEM768,X25519. Each connection is a line: "group NAME" with what was negotiated, or,
// of the client, "failed REASON".
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
)

// The longest a handshake may take: its refusal comes at once, so this is for a peer that says nothing.
const handshakeTimeout = 5 * time.Second

var groups = map[string]tls.CurveID{"X25519MLKEM768": tls.X25519MLKEM768, "X25519": tls.X25519}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 7 && args[0] == "client":
		return dial(args[1], args[2], args[3:])
	case len(args) == 5 && args[0] == "server":
		return listen(args[1:])
	}
	return errors.New("usage: peer client ADDRESS SERVER-NAME CERT KEY CA GROUPS | server CERT KEY CA GROUPS")
}

// settings reads CERT KEY CA GROUPS.
func settings(args []string) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(args[0], args[1])
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(args[2])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate", args[2])
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		RootCAs:      pool,
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		NextProtos:   []string{"h3"},
		MinVersion:   tls.VersionTLS13,
	}
	for _, name := range strings.Split(args[3], ",") {
		group, known := groups[name]
		if !known {
			return nil, fmt.Errorf("group %q is not known", name)
		}
		config.CurvePreferences = append(config.CurvePreferences, group)
	}
	return config, nil
}

func dial(address, serverName string, files []string) error {
	config, err := settings(files)
	if err != nil {
		return err
	}
	config.ServerName = serverName
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	connection, err := quic.DialAddr(ctx, address, config, nil)
	report(connection, err)
	if err != nil {
		return nil
	}
	return connection.CloseWithError(0, "")
}

func listen(files []string) error {
	config, err := settings(files)
	if err != nil {
		return err
	}
	listener, err := quic.ListenAddr("127.0.0.1:0", config, nil)
	if err != nil {
		return err
	}
	fmt.Println("port", listener.Addr().(*net.UDPAddr).Port)
	for {
		connection, err := listener.Accept(context.Background())
		if err != nil {
			return err
		}
		report(connection, nil)
	}
}

func report(connection *quic.Conn, err error) {
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	fmt.Println("group", connection.ConnectionState().TLS.CurveID)
}
