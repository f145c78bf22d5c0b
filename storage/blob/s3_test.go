package blob

import (
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/blob/blobtest"
)

// What the service refuses is said with the object's name and its reason.
func TestS3Refusal(t *testing.T) {
	endpoint := blobtest.S3(t)
	s, err := NewS3("bucket", "", S3Options{Endpoint: endpoint, Region: "eu-1", AccessKey: "wrong", SecretKey: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(s, "a", "x", false); err == nil || !strings.Contains(err.Error(), "s3://bucket/a: Access") {
		t.Errorf("Put with a wrong key = %v", err)
	}
	s, err = NewS3("elsewhere", "", S3Options{Endpoint: endpoint, Region: "eu-1", AccessKey: "key", SecretKey: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "bucket") {
		t.Errorf("List in a bucket that is not there = %v", err)
	}
	if s.Endpoint() != strings.TrimPrefix(endpoint, "http://") {
		t.Errorf("Endpoint = %s, want %s", s.Endpoint(), endpoint)
	}
}
