// Command prickle is the whole product in one binary: the server, and the commands that
// feed it, question it and look inside its files.
package main
