module chains.test/archivista

go 1.24.0

require github.com/in-toto/archivista v0.11.1
