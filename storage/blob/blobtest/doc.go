// Package blobtest is an S3-compatible service for tests: objects in memory, in parts, by ranges.
package blobtest
