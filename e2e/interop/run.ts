/**
 * Interoperation with aioquic, an independent HTTP/3: as client of our server, as server of our client, and as
 * a plain RFC 9484 client of the relay; and key exchange against quic-go. Started by `make interop`; exits with 0 when everything passed.
 */
import "./aioquic-client.test.ts";
import "./aioquic-server.test.ts";
import "./connect-ip.test.ts";
import "./quic-go.test.ts";
