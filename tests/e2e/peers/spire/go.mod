module chains.test/spire

go 1.24.6

require github.com/spiffe/spire v1.13.0
