\set id random(1, 100)
BEGIN;
INSERT INTO bench VALUES (:id, :client_id);
SELECT count(*) FROM bench WHERE id = :id;
END;
