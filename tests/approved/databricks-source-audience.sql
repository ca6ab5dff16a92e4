SELECT id, email, city, ok FROM `people`;

SELECT count(*) AS n FROM information_schema.schemata WHERE schema_name = '_mayfly';

CREATE SCHEMA IF NOT EXISTS `_mayfly`;

CREATE TABLE IF NOT EXISTS `_mayfly`.`states` (sid STRING NOT NULL, workspace STRING NOT NULL, target STRING NOT NULL, sync STRING NOT NULL, destination STRING NOT NULL, owner STRING NOT NULL, fence BIGINT NOT NULL, holder STRING, lease_until BIGINT NOT NULL, versions STRING, suppression BIGINT NOT NULL, format INT NOT NULL, plan_run STRING, plan_versions STRING, plan_suppression BIGINT, plan_layout STRING, state_keys STRING, object_id STRING);

SELECT column_name AS name FROM information_schema.columns WHERE table_schema = '_mayfly' AND table_name = 'states';

SELECT owner, fence, holder, lease_until, versions, suppression, format, plan_run, plan_versions, plan_layout, state_keys FROM `_mayfly`.`states` WHERE sid = 'da67b4555d38e920';

MERGE INTO `_mayfly`.`states` AS mf_t USING (SELECT 'da67b4555d38e920' AS sid, 'w' AS workspace, 'dev' AS target, 'people' AS sync, 'ddddddddaudience' AS destination, 'me' AS owner, 0 AS fence, 0 AS lease_until, 0 AS suppression, 1 AS format) AS mf_s ON mf_t.sid = mf_s.sid WHEN NOT MATCHED THEN INSERT (sid, workspace, target, sync, destination, owner, fence, lease_until, suppression, format) VALUES (mf_s.sid, mf_s.workspace, mf_s.target, mf_s.sync, mf_s.destination, mf_s.owner, mf_s.fence, mf_s.lease_until, mf_s.suppression, mf_s.format);

UPDATE `_mayfly`.`states` AS mf_t SET fence = 1, holder = 'h1', lease_until = 1 WHERE sid = 'da67b4555d38e920' AND fence = 1;

DROP TABLE IF EXISTS `_mayfly`.`state_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`pairs_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`rejected_0123456789abcdef`;

CREATE TABLE IF NOT EXISTS `_mayfly`.`state_0123456789abcdef` (k0 bigint, fp BINARY, `out` BINARY, redo BOOLEAN NOT NULL, present BOOLEAN NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, s0 BINARY);

CREATE TABLE IF NOT EXISTS `_mayfly`.`pairs_0123456789abcdef` (k0 bigint, field STRING NOT NULL, digest BINARY NOT NULL, perhaps BOOLEAN NOT NULL, stale BOOLEAN NOT NULL);

CREATE TABLE IF NOT EXISTS `_mayfly`.`rejected_0123456789abcdef` (k0 bigint, fp BINARY, versions STRING NOT NULL, code INT NOT NULL, reason STRING, vendor STRING, run STRING, noted_at BIGINT NOT NULL);

UPDATE `_mayfly`.`states` AS mf_t SET state_keys = '[["id", "bigint"]]' WHERE sid = 'da67b4555d38e920' AND fence = 1;

SELECT sid, sync, target, state_keys FROM `_mayfly`.`states` WHERE state_keys IS NOT NULL ORDER BY sid;

CREATE OR REPLACE VIEW `_mayfly`.`rejected` AS SELECT CAST('people' AS STRING) AS sync, CAST('dev' AS STRING) AS target, CAST(run AS STRING) AS run, timestamp_millis(noted_at) AS noted_at, CASE code WHEN 2 THEN 'rejected' WHEN 4 THEN 'withheld' END AS outcome, CAST(reason AS STRING) AS reason, CAST(vendor AS STRING) AS vendor_code, CAST('id' AS STRING) AS key_columns, CAST(k0 AS STRING) AS key_1 FROM `_mayfly`.`rejected_0123456789abcdef`;

SELECT count(*) AS n FROM information_schema.tables WHERE table_schema = '_mayfly' AND table_name = 'state_0123456789abcdef';

UPDATE `_mayfly`.`states` AS mf_t SET lease_until = 1 WHERE sid = 'da67b4555d38e920' AND fence = 1;

SELECT table_name AS name, table_type AS kind FROM information_schema.tables WHERE table_schema = '_mayfly';

SELECT count(*) AS n FROM `_mayfly`.`rejected_0123456789abcdef`;

/* mayfly sync=people run=r1 scan */ CREATE TABLE `_mayfly`.`scan_0123456789abcdef` AS SELECT row_number() OVER (ORDER BY NULL) - 1 AS n, c, k0, fp, s_out, redo, h0 AS v0, h1 AS v1, CASE WHEN need AND (h0 IS NULL) THEN NOT ((TRUE)) ELSE FALSE END AS o0, CASE WHEN need AND (h1 IS NULL) THEN NOT (((x1 IS NULL OR x1 NOT LIKE 'x%'))) ELSE FALSE END AS o1, since FROM (SELECT *, CASE WHEN need THEN unhex(sha2(x0, 256)) END AS h0, CASE WHEN need THEN CASE WHEN (x1 IS NULL OR x1 NOT LIKE 'x%') THEN unhex(sha2(x1, 256)) END END AS h1 FROM (SELECT c, k0, redo, CASE WHEN c = 5 THEN since END AS since, c IN (1, 2, 9, 14, 8) AS need, CASE WHEN c IN (1, 2, 9, 14, 8) THEN fp END AS fp, CASE WHEN c IN (1, 2, 9, 14, 8) THEN s_out END AS s_out, x0, x1 FROM (SELECT CAST(CASE WHEN m.here IS NULL AND s.present THEN 4 WHEN m.here IS NULL THEN NULL WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.redo THEN 9 WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.last_at < 1 THEN 14 WHEN m.g = 1 AND s.present AND s.fp = m.fp THEN 3 WHEN m.g = 1 AND s.present THEN 2 WHEN m.g = 1 THEN 1 WHEN s.present AND m.g = 0 THEN 5 WHEN s.present THEN 6 ELSE 7 END AS SMALLINT) AS c, coalesce(m.k0, s.k0) AS k0, m.fp AS fp, s.out AS s_out, coalesce(s.redo, FALSE) AS redo, m.x0 AS x0, m.x1 AS x1, m.since AS since FROM (SELECT `id` AS k0, unhex(md5(concat(coalesce(CAST(`email` AS STRING), ''), coalesce(CAST(`city` AS STRING), ''), coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS STRING), 'n')))) AS fp, TRUE AS here, CASE WHEN mf_said = 0 OR (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 0 THEN 0 WHEN mf_said = 1 AND (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 1 THEN 1 END AS g, CASE WHEN mf_said = 0 THEN mf_since END AS since, `city` AS x0, `email` AS x1 FROM (SELECT id, email, city, ok FROM `people`) AS mf_model LEFT JOIN (SELECT mf_subject, CASE WHEN min(mf_says) <> max(mf_says) OR max(mf_at) > 1000000 THEN NULL WHEN min(mf_says) = 1 THEN 1 WHEN min(mf_says) = 0 THEN 0 END AS mf_said, max(mf_at) AS mf_since FROM (SELECT mf_subject, mf_at, mf_says, max(mf_at) OVER (PARTITION BY mf_subject) AS mf_latest FROM (SELECT CAST(`subject` AS STRING) AS mf_subject, coalesce(CAST(CAST(unix_micros(CAST(`told` AS TIMESTAMP)) AS STRING) AS BIGINT), CAST(9223372036854775807 AS BIGINT)) AS mf_at, CASE WHEN `purpose` IS NULL OR `state` IS NULL THEN -1 WHEN ((CAST(`state` AS STRING) COLLATE UTF8_BINARY) IN ('given')) THEN 1 ELSE 0 END AS mf_says FROM (SELECT id AS subject, 'ads' AS purpose, 'given' AS state, TIMESTAMP '1970-01-01 00:00:00.000000' AS told FROM `people` UNION ALL SELECT id, 'ads', CASE WHEN ok THEN 'given' WHEN NOT ok THEN 'withdrawn' END, TIMESTAMP '1970-01-01 00:00:00.001000' FROM `people`) AS mf_told WHERE `subject` IS NOT NULL AND (`purpose` IS NULL OR ((CAST(`purpose` AS STRING) COLLATE UTF8_BINARY) IN ('ads')))) AS mf_events) AS mf_last WHERE mf_at = mf_latest GROUP BY mf_subject) AS mf_consent ON mf_consent.mf_subject = CAST(`id` AS STRING)) m FULL OUTER JOIN `_mayfly`.`state_0123456789abcdef` s ON m.k0 = s.k0) AS mf_c WHERE c IS NOT NULL) AS mf_h0) AS mf_w;

SELECT count(*) AS n FROM `_mayfly`.`scan_0123456789abcdef` WHERE k0 IS NULL;

SELECT count(*) AS n FROM (SELECT 1 AS one FROM `_mayfly`.`scan_0123456789abcdef` GROUP BY k0 HAVING count(*) > 1) AS mf_d;

SELECT coalesce(sum(CASE WHEN o0 THEN 1 ELSE 0 END), 0) AS o0, coalesce(sum(CASE WHEN o1 THEN 1 ELSE 0 END), 0) AS o1 FROM `_mayfly`.`scan_0123456789abcdef`;

/* mayfly sync=people run=r1 outside 1 */ SELECT q.n AS n, m.x AS x, m.y AS y FROM `_mayfly`.`scan_0123456789abcdef` q JOIN (SELECT `id` AS k0, CAST(`email` AS STRING) AS x, CAST(NULL AS STRING) AS y FROM (SELECT id, email, city, ok FROM `people`) AS mf_model LEFT JOIN (SELECT mf_subject, CASE WHEN min(mf_says) <> max(mf_says) OR max(mf_at) > 1000000 THEN NULL WHEN min(mf_says) = 1 THEN 1 WHEN min(mf_says) = 0 THEN 0 END AS mf_said, max(mf_at) AS mf_since FROM (SELECT mf_subject, mf_at, mf_says, max(mf_at) OVER (PARTITION BY mf_subject) AS mf_latest FROM (SELECT CAST(`subject` AS STRING) AS mf_subject, coalesce(CAST(CAST(unix_micros(CAST(`told` AS TIMESTAMP)) AS STRING) AS BIGINT), CAST(9223372036854775807 AS BIGINT)) AS mf_at, CASE WHEN `purpose` IS NULL OR `state` IS NULL THEN -1 WHEN ((CAST(`state` AS STRING) COLLATE UTF8_BINARY) IN ('given')) THEN 1 ELSE 0 END AS mf_says FROM (SELECT id AS subject, 'ads' AS purpose, 'given' AS state, TIMESTAMP '1970-01-01 00:00:00.000000' AS told FROM `people` UNION ALL SELECT id, 'ads', CASE WHEN ok THEN 'given' WHEN NOT ok THEN 'withdrawn' END, TIMESTAMP '1970-01-01 00:00:00.001000' FROM `people`) AS mf_told WHERE `subject` IS NOT NULL AND (`purpose` IS NULL OR ((CAST(`purpose` AS STRING) COLLATE UTF8_BINARY) IN ('ads')))) AS mf_events) AS mf_last WHERE mf_at = mf_latest GROUP BY mf_subject) AS mf_consent ON mf_consent.mf_subject = CAST(`id` AS STRING) WHERE (CASE WHEN mf_said = 0 OR (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 0 THEN 0 WHEN mf_said = 1 AND (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 1 THEN 1 END) = 1) m ON q.k0 = m.k0 WHERE q.o1;

MERGE INTO `_mayfly`.`scan_0123456789abcdef` AS mf_t USING mf_load_1 w ON mf_t.n = w.n WHEN MATCHED THEN UPDATE SET v1 = w.d;

UPDATE `_mayfly`.`scan_0123456789abcdef` AS mf_t SET c = 12 WHERE c IN (1, 2, 9, 14) AND v0 IS NULL AND v1 IS NULL;

UPDATE `_mayfly`.`scan_0123456789abcdef` AS mf_t SET c = 13 WHERE c IN (9, 2) AND NOT redo AND s_out = unhex(md5(concat(coalesce(v1, unhex('0000000000000000000000000000000000000000000000000000000000000000')), coalesce(v0, unhex('0000000000000000000000000000000000000000000000000000000000000000')))));

/* mayfly sync=people run=r1 plan */ CREATE TABLE `_mayfly`.`plan_0123456789abcdef` AS SELECT CAST(0 + ((rn) DIV 3) AS INT) AS batch, CAST((rn) % 3 AS INT) AS pos, k0, fp, `out`, v0, v1 FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, k0, fp, unhex(md5(concat(coalesce(v1, unhex('0000000000000000000000000000000000000000000000000000000000000000')), coalesce(v0, unhex('0000000000000000000000000000000000000000000000000000000000000000'))))) AS `out`, v0, v1 FROM `_mayfly`.`scan_0123456789abcdef` WHERE c IN (1, 2, 9, 14)) AS mf_n;

/* mayfly sync=people run=r1 drop */ CREATE TABLE `_mayfly`.`drop_0123456789abcdef` AS SELECT CAST(0 AS INT) AS batch, CAST(0 AS INT) AS pos, CAST(NULL AS STRING) AS field, CAST(NULL AS BINARY) AS digest, CAST(NULL AS bigint) AS k0 LIMIT 0;

/* mayfly sync=people run=r1 gone */ CREATE TABLE `_mayfly`.`gone_0123456789abcdef` AS SELECT p.k0 AS k0, p.field AS field, p.digest AS digest FROM `_mayfly`.`pairs_0123456789abcdef` p LEFT JOIN `_mayfly`.`scan_0123456789abcdef` s ON p.k0 = s.k0 LEFT JOIN `_mayfly`.`plan_0123456789abcdef` q ON p.k0 = q.k0 WHERE s.c IS NULL OR s.c NOT IN (1, 2, 3, 9, 13, 14, 8) OR (q.batch IS NOT NULL AND CASE WHEN p.field = 'PHONE' THEN q.v0 IS NULL OR q.v0 <> p.digest WHEN p.field = 'EMAIL' THEN q.v1 IS NULL OR q.v1 <> p.digest ELSE TRUE END) OR (s.c = 8 AND CASE WHEN p.field = 'PHONE' THEN s.v0 IS NULL OR s.v0 <> p.digest WHEN p.field = 'EMAIL' THEN s.v1 IS NULL OR s.v1 <> p.digest ELSE TRUE END) OR (q.batch IS NULL AND NOT (s.c = 8) AND p.stale);

SELECT coalesce(max(batch), -1) AS n FROM `_mayfly`.`plan_0123456789abcdef`;

SELECT coalesce(max(batch), -1) AS n FROM `_mayfly`.`drop_0123456789abcdef`;

SELECT count(*) AS n FROM (SELECT u.field AS field, u.digest AS digest FROM `_mayfly`.`gone_0123456789abcdef` u JOIN `_mayfly`.`scan_0123456789abcdef` s ON u.k0 = s.k0 WHERE s.c IN (5, 10, 7)) AS mf_u;

INSERT INTO `_mayfly`.`drop_0123456789abcdef` SELECT CAST(2 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), 'PHONE', digest, CAST(NULL AS bigint) FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, digest FROM (SELECT DISTINCT g.digest FROM `_mayfly`.`gone_0123456789abcdef` g WHERE g.field = 'PHONE' AND g.digest NOT IN (SELECT q.v0 FROM `_mayfly`.`plan_0123456789abcdef` q WHERE q.v0 IS NOT NULL) AND g.digest NOT IN (SELECT k.digest FROM (SELECT o.field AS field, o.digest AS digest FROM `_mayfly`.`pairs_0123456789abcdef` o JOIN (SELECT DISTINCT field, digest FROM `_mayfly`.`gone_0123456789abcdef`) w ON w.field = o.field AND w.digest = o.digest LEFT JOIN `_mayfly`.`gone_0123456789abcdef` h ON h.field = o.field AND h.digest = o.digest AND o.k0 = h.k0 WHERE h.field IS NULL) k WHERE k.field = 'PHONE')) AS mf_g) AS mf_n;

INSERT INTO `_mayfly`.`drop_0123456789abcdef` SELECT CAST(2 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), 'EMAIL', digest, CAST(NULL AS bigint) FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, digest FROM (SELECT DISTINCT g.digest FROM `_mayfly`.`gone_0123456789abcdef` g WHERE g.field = 'EMAIL' AND g.digest NOT IN (SELECT q.v1 FROM `_mayfly`.`plan_0123456789abcdef` q WHERE q.v1 IS NOT NULL) AND g.digest NOT IN (SELECT k.digest FROM (SELECT o.field AS field, o.digest AS digest FROM `_mayfly`.`pairs_0123456789abcdef` o JOIN (SELECT DISTINCT field, digest FROM `_mayfly`.`gone_0123456789abcdef`) w ON w.field = o.field AND w.digest = o.digest LEFT JOIN `_mayfly`.`gone_0123456789abcdef` h ON h.field = o.field AND h.digest = o.digest AND o.k0 = h.k0 WHERE h.field IS NULL) k WHERE k.field = 'EMAIL')) AS mf_g) AS mf_n;

/* mayfly sync=people run=r1 batches */ CREATE TABLE `_mayfly`.`batches_0123456789abcdef` AS SELECT batch, CAST('add' AS STRING) AS op, CAST(NULL AS STRING) AS field, count(*) AS size FROM `_mayfly`.`plan_0123456789abcdef` GROUP BY batch UNION ALL SELECT batch, CAST('remove' AS STRING) AS op, field, count(*) AS size FROM `_mayfly`.`drop_0123456789abcdef` GROUP BY batch, field;

SELECT c, count(*) AS n, coalesce(sum(CASE WHEN redo THEN 1 ELSE 0 END), 0) AS redo FROM `_mayfly`.`scan_0123456789abcdef` GROUP BY c;

SELECT count(*) AS n FROM `_mayfly`.`drop_0123456789abcdef`;

SELECT count(*) AS n FROM `_mayfly`.`state_0123456789abcdef` WHERE present;

SELECT batch, op, field, CAST(size AS BIGINT) AS size FROM `_mayfly`.`batches_0123456789abcdef` ORDER BY batch;

SELECT CAST(d.batch AS BIGINT) AS batch, CAST(d.pos AS BIGINT) AS pos, CAST(max(s.since) AS BIGINT) AS since FROM `_mayfly`.`drop_0123456789abcdef` d JOIN `_mayfly`.`gone_0123456789abcdef` g ON g.field = d.field AND g.digest = d.digest JOIN `_mayfly`.`scan_0123456789abcdef` s ON g.k0 = s.k0 WHERE d.batch < 2 AND s.c = 5 AND s.since IS NOT NULL GROUP BY d.batch, d.pos;

CREATE TABLE IF NOT EXISTS `_mayfly`.`intents_0123456789abcdef` (batch INT NOT NULL, job STRING);

CREATE TABLE IF NOT EXISTS `_mayfly`.`acks_0123456789abcdef` (batch INT NOT NULL);

CREATE TABLE IF NOT EXISTS `_mayfly`.`codes_0123456789abcdef` (batch INT NOT NULL, pos INT NOT NULL, code INT NOT NULL, reason STRING, vendor STRING);

CREATE TABLE IF NOT EXISTS `_mayfly`.`before_0123456789abcdef` (k0 bigint, first_at BIGINT);

UPDATE `_mayfly`.`states` AS mf_t SET plan_run = 'r1', plan_versions = 'v1', plan_suppression = 0, plan_layout = '{"run": "r1", "mode": "audience", "external": true, "by_identifier": true, "erase_withdrawn": true, "versions": "v1", "fields": [["PHONE", true], ["EMAIL", true]], "suppression": 1, "sent_as": [1], "copy": 1}' WHERE sid = 'da67b4555d38e920' AND fence = 1;

/* mayfly sync=people run=r1 batches=0-1 */ SELECT q.batch, q.pos FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT `id` AS k0 FROM (SELECT id, email, city, ok FROM `people`) AS mf_model LEFT JOIN (SELECT mf_subject, CASE WHEN min(mf_says) <> max(mf_says) OR max(mf_at) > 1000000 THEN NULL WHEN min(mf_says) = 1 THEN 1 WHEN min(mf_says) = 0 THEN 0 END AS mf_said, max(mf_at) AS mf_since FROM (SELECT mf_subject, mf_at, mf_says, max(mf_at) OVER (PARTITION BY mf_subject) AS mf_latest FROM (SELECT CAST(`subject` AS STRING) AS mf_subject, coalesce(CAST(CAST(unix_micros(CAST(`told` AS TIMESTAMP)) AS STRING) AS BIGINT), CAST(9223372036854775807 AS BIGINT)) AS mf_at, CASE WHEN `purpose` IS NULL OR `state` IS NULL THEN -1 WHEN ((CAST(`state` AS STRING) COLLATE UTF8_BINARY) IN ('given')) THEN 1 ELSE 0 END AS mf_says FROM (SELECT id AS subject, 'ads' AS purpose, 'given' AS state, TIMESTAMP '1970-01-01 00:00:00.000000' AS told FROM `people` UNION ALL SELECT id, 'ads', CASE WHEN ok THEN 'given' WHEN NOT ok THEN 'withdrawn' END, TIMESTAMP '1970-01-01 00:00:00.001000' FROM `people`) AS mf_told WHERE `subject` IS NOT NULL AND (`purpose` IS NULL OR ((CAST(`purpose` AS STRING) COLLATE UTF8_BINARY) IN ('ads')))) AS mf_events) AS mf_last WHERE mf_at = mf_latest GROUP BY mf_subject) AS mf_consent ON mf_consent.mf_subject = CAST(`id` AS STRING) WHERE (CASE WHEN mf_said = 0 OR (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 0 THEN 0 WHEN mf_said = 1 AND (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 1 THEN 1 END) = 1) m ON q.k0 = m.k0 WHERE q.batch BETWEEN 0 AND 1;

/* mayfly sync=people run=r1 batches=0-1 */ SELECT q.batch, q.pos, q.v0, q.v1 FROM `_mayfly`.`plan_0123456789abcdef` q WHERE q.batch BETWEEN 0 AND 1;

INSERT INTO `_mayfly`.`intents_0123456789abcdef` VALUES (0, NULL);

INSERT INTO `_mayfly`.`acks_0123456789abcdef` VALUES (0);

INSERT INTO `_mayfly`.`intents_0123456789abcdef` VALUES (1, NULL);

INSERT INTO `_mayfly`.`acks_0123456789abcdef` VALUES (1);

SELECT b.batch, b.op, b.field, CAST(b.size AS BIGINT) AS size, i.batch AS intent, i.job, a.batch AS ack FROM `_mayfly`.`batches_0123456789abcdef` b LEFT JOIN (SELECT batch, max(job) AS job FROM `_mayfly`.`intents_0123456789abcdef` GROUP BY batch) i ON i.batch = b.batch LEFT JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = b.batch ORDER BY b.batch;

SELECT o.batch, o.pos FROM `_mayfly`.`codes_0123456789abcdef` o LEFT JOIN `_mayfly`.`acks_0123456789abcdef` a ON a.batch = o.batch WHERE a.batch IS NULL ORDER BY o.batch, o.pos;

SELECT count(*) AS n FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) AS mf_q;

SELECT count(*) AS n FROM (SELECT q.* FROM `_mayfly`.`drop_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) AS mf_q;

SELECT count(*) AS n FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`intents_0123456789abcdef`) i ON i.batch = q.batch LEFT JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE a.batch IS NULL AND o.code IS NULL) AS mf_q;

SELECT count(*) AS n FROM (SELECT q.* FROM `_mayfly`.`drop_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`intents_0123456789abcdef`) i ON i.batch = q.batch LEFT JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE a.batch IS NULL AND o.code IS NULL) AS mf_q;

DELETE FROM `_mayfly`.`before_0123456789abcdef` AS mf_t WHERE TRUE;

INSERT INTO `_mayfly`.`before_0123456789abcdef` (k0, first_at) SELECT t.k0, t.first_at FROM `_mayfly`.`state_0123456789abcdef` t JOIN (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) q ON t.k0 = q.k0;

DELETE FROM `_mayfly`.`state_0123456789abcdef` AS mf_t WHERE EXISTS (SELECT 1 FROM `_mayfly`.`before_0123456789abcdef` b WHERE b.k0 = mf_t.k0);

INSERT INTO `_mayfly`.`state_0123456789abcdef` (k0, fp, `out`, redo, present, first_at, last_at, s0) SELECT q.k0, q.fp, q.`out`, FALSE, TRUE, coalesce(t.first_at, 1000), 1000, q.v1 FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) q LEFT JOIN `_mayfly`.`before_0123456789abcdef` t ON q.k0 = t.k0;

MERGE INTO `_mayfly`.`state_0123456789abcdef` AS mf_t USING `_mayfly`.`scan_0123456789abcdef` q ON q.c = 13 AND mf_t.k0 = q.k0 WHEN MATCHED THEN UPDATE SET fp = q.fp, s0 = q.v1;

UPDATE `_mayfly`.`pairs_0123456789abcdef` AS mf_t SET stale = TRUE WHERE EXISTS (SELECT 1 FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) a WHERE mf_t.k0 = a.k0 AND CASE WHEN mf_t.field = 'PHONE' THEN a.v0 IS NULL OR a.v0 <> mf_t.digest WHEN mf_t.field = 'EMAIL' THEN a.v1 IS NULL OR a.v1 <> mf_t.digest ELSE TRUE END);

UPDATE `_mayfly`.`pairs_0123456789abcdef` AS mf_t SET perhaps = FALSE, stale = FALSE WHERE mf_t.field = 'PHONE' AND EXISTS (SELECT 1 FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) q WHERE q.v0 = mf_t.digest AND mf_t.k0 = q.k0);

UPDATE `_mayfly`.`pairs_0123456789abcdef` AS mf_t SET perhaps = FALSE, stale = FALSE WHERE mf_t.field = 'EMAIL' AND EXISTS (SELECT 1 FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) q WHERE q.v1 = mf_t.digest AND mf_t.k0 = q.k0);

INSERT INTO `_mayfly`.`pairs_0123456789abcdef` (k0, field, digest, perhaps, stale) SELECT q.k0, 'PHONE', q.v0, FALSE, FALSE FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) q LEFT JOIN `_mayfly`.`pairs_0123456789abcdef` p ON p.field = 'PHONE' AND p.digest = q.v0 AND p.k0 = q.k0 WHERE q.v0 IS NOT NULL AND p.field IS NULL;

INSERT INTO `_mayfly`.`pairs_0123456789abcdef` (k0, field, digest, perhaps, stale) SELECT q.k0, 'EMAIL', q.v1, FALSE, FALSE FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) q LEFT JOIN `_mayfly`.`pairs_0123456789abcdef` p ON p.field = 'EMAIL' AND p.digest = q.v1 AND p.k0 = q.k0 WHERE q.v1 IS NOT NULL AND p.field IS NULL;

DELETE FROM `_mayfly`.`pairs_0123456789abcdef` AS mf_t WHERE EXISTS (SELECT 1 FROM (SELECT q.* FROM `_mayfly`.`drop_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN (0, 1)) k WHERE k.field = mf_t.field AND k.digest = mf_t.digest);

UPDATE `_mayfly`.`pairs_0123456789abcdef` AS mf_t SET perhaps = TRUE WHERE mf_t.field = 'PHONE' AND EXISTS (SELECT 1 FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`intents_0123456789abcdef`) i ON i.batch = q.batch LEFT JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE a.batch IS NULL AND o.code IS NULL) q WHERE q.v0 = mf_t.digest);

UPDATE `_mayfly`.`pairs_0123456789abcdef` AS mf_t SET perhaps = TRUE WHERE mf_t.field = 'EMAIL' AND EXISTS (SELECT 1 FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`intents_0123456789abcdef`) i ON i.batch = q.batch LEFT JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE a.batch IS NULL AND o.code IS NULL) q WHERE q.v1 = mf_t.digest);

INSERT INTO `_mayfly`.`pairs_0123456789abcdef` (k0, field, digest, perhaps, stale) SELECT q.k0, 'PHONE', q.v0, TRUE, FALSE FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`intents_0123456789abcdef`) i ON i.batch = q.batch LEFT JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE a.batch IS NULL AND o.code IS NULL) q LEFT JOIN `_mayfly`.`pairs_0123456789abcdef` p ON p.field = 'PHONE' AND p.digest = q.v0 AND p.k0 = q.k0 WHERE q.v0 IS NOT NULL AND p.field IS NULL;

INSERT INTO `_mayfly`.`pairs_0123456789abcdef` (k0, field, digest, perhaps, stale) SELECT q.k0, 'EMAIL', q.v1, TRUE, FALSE FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`intents_0123456789abcdef`) i ON i.batch = q.batch LEFT JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE a.batch IS NULL AND o.code IS NULL) q LEFT JOIN `_mayfly`.`pairs_0123456789abcdef` p ON p.field = 'EMAIL' AND p.digest = q.v1 AND p.k0 = q.k0 WHERE q.v1 IS NOT NULL AND p.field IS NULL;

UPDATE `_mayfly`.`pairs_0123456789abcdef` AS mf_t SET perhaps = TRUE WHERE EXISTS (SELECT 1 FROM (SELECT q.* FROM `_mayfly`.`drop_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`intents_0123456789abcdef`) i ON i.batch = q.batch LEFT JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE a.batch IS NULL AND o.code IS NULL) k WHERE k.field = mf_t.field AND k.digest = mf_t.digest);

DELETE FROM `_mayfly`.`pairs_0123456789abcdef` AS mf_t WHERE EXISTS (SELECT 1 FROM `_mayfly`.`gone_0123456789abcdef` g WHERE g.field = mf_t.field AND g.digest = mf_t.digest AND mf_t.k0 = g.k0) AND EXISTS (SELECT 1 FROM (SELECT o.field AS field, o.digest AS digest FROM `_mayfly`.`pairs_0123456789abcdef` o JOIN (SELECT DISTINCT field, digest FROM `_mayfly`.`gone_0123456789abcdef`) w ON w.field = o.field AND w.digest = o.digest LEFT JOIN `_mayfly`.`gone_0123456789abcdef` h ON h.field = o.field AND h.digest = o.digest AND o.k0 = h.k0 WHERE h.field IS NULL) k WHERE k.field = mf_t.field AND k.digest = mf_t.digest);

UPDATE `_mayfly`.`state_0123456789abcdef` AS mf_t SET redo = FALSE WHERE redo;

UPDATE `_mayfly`.`state_0123456789abcdef` AS mf_t SET redo = TRUE WHERE EXISTS (SELECT 1 FROM `_mayfly`.`pairs_0123456789abcdef` p WHERE p.perhaps AND NOT p.stale AND mf_t.k0 = p.k0);

UPDATE `_mayfly`.`state_0123456789abcdef` AS mf_t SET present = FALSE WHERE EXISTS (SELECT 1 FROM (SELECT k0 FROM `_mayfly`.`scan_0123456789abcdef` WHERE c IN (4, 5, 6, 10, 12)) q WHERE mf_t.k0 = q.k0);

DELETE FROM `_mayfly`.`rejected_0123456789abcdef` AS mf_t WHERE EXISTS (SELECT 1 FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch) q WHERE q.k0 = mf_t.k0);

INSERT INTO `_mayfly`.`rejected_0123456789abcdef` (k0, fp, versions, code, reason, vendor, run, noted_at) SELECT q.k0, q.fp, 'v1', o.code, o.reason, o.vendor, 'r1', 1000 FROM (SELECT q.* FROM `_mayfly`.`plan_0123456789abcdef` q JOIN (SELECT DISTINCT batch FROM `_mayfly`.`acks_0123456789abcdef`) a ON a.batch = q.batch) q JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IN (2, 4);

UPDATE `_mayfly`.`states` AS mf_t SET plan_run = NULL, versions = plan_versions, suppression = plan_suppression WHERE sid = 'da67b4555d38e920';

DROP TABLE IF EXISTS `_mayfly`.`scan_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`plan_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`drop_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`gone_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`batches_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`intents_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`acks_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`codes_0123456789abcdef`;

DROP TABLE IF EXISTS `_mayfly`.`before_0123456789abcdef`;

UPDATE `_mayfly`.`states` AS mf_t SET holder = NULL, lease_until = 1 WHERE sid = 'da67b4555d38e920' AND fence = 1;

SELECT column_name AS name FROM information_schema.columns WHERE table_schema = '_mayfly' AND table_name = 'rejected';

UPDATE `_mayfly`.`states` AS mf_t SET fence = 1, holder = 'h2', lease_until = 1 WHERE sid = 'da67b4555d38e920' AND fence = 1;

SELECT column_name AS name FROM information_schema.columns WHERE table_schema = '_mayfly' AND table_name = 'state_0123456789abcdef';

INSERT INTO `_mayfly`.`drop_0123456789abcdef` SELECT CAST(1 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), 'PHONE', digest, CAST(NULL AS bigint) FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, digest FROM (SELECT DISTINCT g.digest FROM `_mayfly`.`gone_0123456789abcdef` g WHERE g.field = 'PHONE' AND g.digest NOT IN (SELECT q.v0 FROM `_mayfly`.`plan_0123456789abcdef` q WHERE q.v0 IS NOT NULL) AND g.digest NOT IN (SELECT k.digest FROM (SELECT o.field AS field, o.digest AS digest FROM `_mayfly`.`pairs_0123456789abcdef` o JOIN (SELECT DISTINCT field, digest FROM `_mayfly`.`gone_0123456789abcdef`) w ON w.field = o.field AND w.digest = o.digest LEFT JOIN `_mayfly`.`gone_0123456789abcdef` h ON h.field = o.field AND h.digest = o.digest AND o.k0 = h.k0 WHERE h.field IS NULL) k WHERE k.field = 'PHONE')) AS mf_g) AS mf_n;

SELECT CAST(d.batch AS BIGINT) AS batch, CAST(d.pos AS BIGINT) AS pos, CAST(max(s.since) AS BIGINT) AS since FROM `_mayfly`.`drop_0123456789abcdef` d JOIN `_mayfly`.`gone_0123456789abcdef` g ON g.field = d.field AND g.digest = d.digest JOIN `_mayfly`.`scan_0123456789abcdef` s ON g.k0 = s.k0 WHERE d.batch < 1 AND s.c = 5 AND s.since IS NOT NULL GROUP BY d.batch, d.pos;

UPDATE `_mayfly`.`states` AS mf_t SET plan_run = 'r1', plan_versions = 'v1', plan_suppression = 0, plan_layout = '{"run": "r2", "mode": "audience", "external": true, "by_identifier": true, "erase_withdrawn": true, "versions": "v1", "fields": [["PHONE", true], ["EMAIL", true]], "suppression": 1, "sent_as": [1], "copy": 2}' WHERE sid = 'da67b4555d38e920' AND fence = 1;

/* mayfly sync=people run=r1 batches=0-1 */ SELECT q.batch, q.pos, q.digest AS f0 FROM `_mayfly`.`drop_0123456789abcdef` q WHERE q.batch BETWEEN 0 AND 1;

INSERT INTO `_mayfly`.`intents_0123456789abcdef` VALUES (2, NULL);

INSERT INTO `_mayfly`.`acks_0123456789abcdef` VALUES (2);

UPDATE `_mayfly`.`states` AS mf_t SET fence = 1, holder = 'h3', lease_until = 1 WHERE sid = 'da67b4555d38e920' AND fence = 1;

/* mayfly sync=people run=r1 scan */ CREATE TABLE `_mayfly`.`scan_0123456789abcdef` AS SELECT row_number() OVER (ORDER BY NULL) - 1 AS n, c, k0, fp, s_out, redo, h0 AS v0, h1 AS v1, CASE WHEN need THEN h1 ELSE s_s0 END AS s0, CASE WHEN need AND (h0 IS NULL) THEN NOT ((TRUE)) ELSE FALSE END AS o0, CASE WHEN need AND (h1 IS NULL) THEN NOT (((x1 IS NULL OR x1 NOT LIKE 'x%'))) ELSE FALSE END AS o1, since FROM (SELECT *, CASE WHEN need THEN unhex(sha2(x0, 256)) END AS h0, CASE WHEN need THEN CASE WHEN (x1 IS NULL OR x1 NOT LIKE 'x%') THEN unhex(sha2(x1, 256)) END END AS h1 FROM (SELECT c, k0, redo, s_s0, CASE WHEN c = 5 THEN since END AS since, c IN (1, 2, 9, 14, 8) AS need, CASE WHEN c IN (1, 2, 9, 14, 8) THEN fp END AS fp, CASE WHEN c IN (1, 2, 9, 14, 8) THEN s_out END AS s_out, x0, x1 FROM (SELECT CAST(CASE WHEN m.here IS NULL AND s.present THEN 4 WHEN m.here IS NULL THEN NULL WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.redo THEN 9 WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.last_at < 1 THEN 14 WHEN m.g = 1 AND s.present AND s.fp = m.fp THEN 3 WHEN m.g = 1 AND s.present THEN 2 WHEN m.g = 1 THEN 1 WHEN s.present AND m.g = 0 THEN 5 WHEN s.present THEN 6 ELSE 7 END AS SMALLINT) AS c, coalesce(m.k0, s.k0) AS k0, m.fp AS fp, s.out AS s_out, coalesce(s.redo, FALSE) AS redo, m.x0 AS x0, m.x1 AS x1, s.s0 AS s_s0, m.since AS since FROM (SELECT `id` AS k0, unhex(md5(concat(coalesce(CAST(`email` AS STRING), ''), coalesce(CAST(`city` AS STRING), ''), coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS STRING), 'n')))) AS fp, TRUE AS here, CASE WHEN mf_said = 0 OR (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 0 THEN 0 WHEN mf_said = 1 AND (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 1 THEN 1 END AS g, CASE WHEN mf_said = 0 THEN mf_since END AS since, `city` AS x0, `email` AS x1 FROM (SELECT id, email, city, ok FROM `people`) AS mf_model LEFT JOIN (SELECT mf_subject, CASE WHEN min(mf_says) <> max(mf_says) OR max(mf_at) > 1000000 THEN NULL WHEN min(mf_says) = 1 THEN 1 WHEN min(mf_says) = 0 THEN 0 END AS mf_said, max(mf_at) AS mf_since FROM (SELECT mf_subject, mf_at, mf_says, max(mf_at) OVER (PARTITION BY mf_subject) AS mf_latest FROM (SELECT CAST(`subject` AS STRING) AS mf_subject, coalesce(CAST(CAST(unix_micros(CAST(`told` AS TIMESTAMP)) AS STRING) AS BIGINT), CAST(9223372036854775807 AS BIGINT)) AS mf_at, CASE WHEN `purpose` IS NULL OR `state` IS NULL THEN -1 WHEN ((CAST(`state` AS STRING) COLLATE UTF8_BINARY) IN ('given')) THEN 1 ELSE 0 END AS mf_says FROM (SELECT id AS subject, 'ads' AS purpose, 'given' AS state, TIMESTAMP '1970-01-01 00:00:00.000000' AS told FROM `people` UNION ALL SELECT id, 'ads', CASE WHEN ok THEN 'given' WHEN NOT ok THEN 'withdrawn' END, TIMESTAMP '1970-01-01 00:00:00.001000' FROM `people`) AS mf_told WHERE `subject` IS NOT NULL AND (`purpose` IS NULL OR ((CAST(`purpose` AS STRING) COLLATE UTF8_BINARY) IN ('ads')))) AS mf_events) AS mf_last WHERE mf_at = mf_latest GROUP BY mf_subject) AS mf_consent ON mf_consent.mf_subject = CAST(`id` AS STRING)) m FULL OUTER JOIN `_mayfly`.`state_0123456789abcdef` s ON m.k0 = s.k0) AS mf_c WHERE c IS NOT NULL) AS mf_h0) AS mf_w;

SELECT coalesce(min(n), 0) AS first, coalesce(max(n) + 1, 0) AS past FROM `_mayfly`.`scan_0123456789abcdef`;

SELECT n AS n, s0 FROM `_mayfly`.`scan_0123456789abcdef` WHERE c IN (1, 2, 9, 14, 8, 3) AND n >= 0 AND n < 200000;

UPDATE `_mayfly`.`scan_0123456789abcdef` AS mf_t SET c = 10 WHERE mf_t.n IN (SELECT n FROM mf_load_1);

SELECT count(*) AS n FROM `_mayfly`.`gone_0123456789abcdef`;

INSERT INTO `_mayfly`.`drop_0123456789abcdef` SELECT CAST(1 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), 'EMAIL', digest, CAST(NULL AS bigint) FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, digest FROM (SELECT DISTINCT g.digest FROM `_mayfly`.`gone_0123456789abcdef` g WHERE g.field = 'EMAIL' AND g.digest NOT IN (SELECT q.v1 FROM `_mayfly`.`plan_0123456789abcdef` q WHERE q.v1 IS NOT NULL) AND g.digest NOT IN (SELECT k.digest FROM (SELECT o.field AS field, o.digest AS digest FROM `_mayfly`.`pairs_0123456789abcdef` o JOIN (SELECT DISTINCT field, digest FROM `_mayfly`.`gone_0123456789abcdef`) w ON w.field = o.field AND w.digest = o.digest LEFT JOIN `_mayfly`.`gone_0123456789abcdef` h ON h.field = o.field AND h.digest = o.digest AND o.k0 = h.k0 WHERE h.field IS NULL) k WHERE k.field = 'EMAIL')) AS mf_g) AS mf_n;

UPDATE `_mayfly`.`states` AS mf_t SET plan_run = 'r1', plan_versions = 'v1', plan_suppression = 1, plan_layout = '{"run": "r3", "mode": "audience", "external": true, "by_identifier": true, "erase_withdrawn": true, "versions": "v1", "fields": [["PHONE", true], ["EMAIL", true]], "suppression": 1, "sent_as": [1], "copy": 3}' WHERE sid = 'da67b4555d38e920' AND fence = 1;

UPDATE `_mayfly`.`states` AS mf_t SET fence = 1, holder = 'h4', lease_until = 1 WHERE sid = 'da67b4555d38e920' AND fence = 1;

SELECT n AS n, v1 AS s0 FROM `_mayfly`.`scan_0123456789abcdef` WHERE c IN (1, 2, 9, 14, 8) AND n >= 0 AND n < 200000;

UPDATE `_mayfly`.`states` AS mf_t SET plan_run = 'r1', plan_versions = 'v1', plan_suppression = 1, plan_layout = '{"run": "r4", "mode": "audience", "external": true, "by_identifier": true, "erase_withdrawn": true, "versions": "v1", "fields": [["PHONE", true], ["EMAIL", true]], "suppression": 1, "sent_as": [1], "copy": 4}' WHERE sid = 'da67b4555d38e920' AND fence = 1;

INSERT INTO `_mayfly`.`codes_0123456789abcdef` SELECT CAST(m.batch AS INT), CAST(m.pos AS INT), CAST(m.code AS INT), m.reason, m.vendor FROM mf_codes m LEFT JOIN `_mayfly`.`codes_0123456789abcdef` o ON o.batch = m.batch AND o.pos = m.pos WHERE o.code IS NULL;

UPDATE `_mayfly`.`states` AS mf_t SET fence = 1, holder = 'h5', lease_until = 1 WHERE sid = 'da67b4555d38e920' AND fence = 1;

/* mayfly sync=people run=r1 scan */ CREATE TABLE `_mayfly`.`scan_0123456789abcdef` AS SELECT row_number() OVER (ORDER BY NULL) - 1 AS n, c, k0, fp, s_out, redo, h0 AS v0, h1 AS v1, CASE WHEN need AND (h0 IS NULL) THEN NOT ((TRUE)) ELSE FALSE END AS o0, CASE WHEN need AND (h1 IS NULL) THEN NOT (((x1 IS NULL OR x1 NOT LIKE 'x%'))) ELSE FALSE END AS o1, since FROM (SELECT *, CASE WHEN need THEN unhex(sha2(x0, 256)) END AS h0, CASE WHEN need THEN CASE WHEN (x1 IS NULL OR x1 NOT LIKE 'x%') THEN unhex(sha2(x1, 256)) END END AS h1 FROM (SELECT c, k0, redo, CASE WHEN c = 5 THEN since END AS since, c IN (1, 2, 9, 14, 8) AS need, CASE WHEN c IN (1, 2, 9, 14, 8) THEN fp END AS fp, CASE WHEN c IN (1, 2, 9, 14, 8) THEN s_out END AS s_out, x0, x1 FROM (SELECT CAST(CASE WHEN m.here IS NULL AND s.present THEN 4 WHEN m.here IS NULL THEN NULL WHEN m.g = 1 AND r.fp IS NOT NULL THEN 8 WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.redo THEN 9 WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.last_at < 1 THEN 14 WHEN m.g = 1 AND s.present AND s.fp = m.fp THEN 3 WHEN m.g = 1 AND s.present THEN 2 WHEN m.g = 1 THEN 1 WHEN s.present AND m.g = 0 THEN 5 WHEN s.present THEN 6 ELSE 7 END AS SMALLINT) AS c, coalesce(m.k0, s.k0) AS k0, m.fp AS fp, s.out AS s_out, coalesce(s.redo, FALSE) AS redo, m.x0 AS x0, m.x1 AS x1, m.since AS since FROM (SELECT `id` AS k0, unhex(md5(concat(coalesce(CAST(`email` AS STRING), ''), coalesce(CAST(`city` AS STRING), ''), coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS STRING), 'n')))) AS fp, TRUE AS here, CASE WHEN mf_said = 0 OR (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 0 THEN 0 WHEN mf_said = 1 AND (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 1 THEN 1 END AS g, CASE WHEN mf_said = 0 THEN mf_since END AS since, `city` AS x0, `email` AS x1 FROM (SELECT id, email, city, ok FROM `people`) AS mf_model LEFT JOIN (SELECT mf_subject, CASE WHEN min(mf_says) <> max(mf_says) OR max(mf_at) > 1000000 THEN NULL WHEN min(mf_says) = 1 THEN 1 WHEN min(mf_says) = 0 THEN 0 END AS mf_said, max(mf_at) AS mf_since FROM (SELECT mf_subject, mf_at, mf_says, max(mf_at) OVER (PARTITION BY mf_subject) AS mf_latest FROM (SELECT CAST(`subject` AS STRING) AS mf_subject, coalesce(CAST(CAST(unix_micros(CAST(`told` AS TIMESTAMP)) AS STRING) AS BIGINT), CAST(9223372036854775807 AS BIGINT)) AS mf_at, CASE WHEN `purpose` IS NULL OR `state` IS NULL THEN -1 WHEN ((CAST(`state` AS STRING) COLLATE UTF8_BINARY) IN ('given')) THEN 1 ELSE 0 END AS mf_says FROM (SELECT id AS subject, 'ads' AS purpose, 'given' AS state, TIMESTAMP '1970-01-01 00:00:00.000000' AS told FROM `people` UNION ALL SELECT id, 'ads', CASE WHEN ok THEN 'given' WHEN NOT ok THEN 'withdrawn' END, TIMESTAMP '1970-01-01 00:00:00.001000' FROM `people`) AS mf_told WHERE `subject` IS NOT NULL AND (`purpose` IS NULL OR ((CAST(`purpose` AS STRING) COLLATE UTF8_BINARY) IN ('ads')))) AS mf_events) AS mf_last WHERE mf_at = mf_latest GROUP BY mf_subject) AS mf_consent ON mf_consent.mf_subject = CAST(`id` AS STRING)) m FULL OUTER JOIN `_mayfly`.`state_0123456789abcdef` s ON m.k0 = s.k0 LEFT JOIN `_mayfly`.`rejected_0123456789abcdef` r ON m.k0 = r.k0 AND r.fp = m.fp AND r.versions = 'v1') AS mf_c WHERE c IS NOT NULL) AS mf_h0) AS mf_w;

INSERT INTO `_mayfly`.`drop_0123456789abcdef` SELECT CAST(0 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), 'PHONE', digest, CAST(NULL AS bigint) FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, digest FROM (SELECT DISTINCT g.digest FROM `_mayfly`.`gone_0123456789abcdef` g WHERE g.field = 'PHONE' AND g.digest NOT IN (SELECT q.v0 FROM `_mayfly`.`plan_0123456789abcdef` q WHERE q.v0 IS NOT NULL) AND g.digest NOT IN (SELECT k.digest FROM (SELECT o.field AS field, o.digest AS digest FROM `_mayfly`.`pairs_0123456789abcdef` o JOIN (SELECT DISTINCT field, digest FROM `_mayfly`.`gone_0123456789abcdef`) w ON w.field = o.field AND w.digest = o.digest LEFT JOIN `_mayfly`.`gone_0123456789abcdef` h ON h.field = o.field AND h.digest = o.digest AND o.k0 = h.k0 WHERE h.field IS NULL) k WHERE k.field = 'PHONE')) AS mf_g) AS mf_n;

INSERT INTO `_mayfly`.`drop_0123456789abcdef` SELECT CAST(0 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), 'EMAIL', digest, CAST(NULL AS bigint) FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, digest FROM (SELECT DISTINCT g.digest FROM `_mayfly`.`gone_0123456789abcdef` g WHERE g.field = 'EMAIL' AND g.digest NOT IN (SELECT q.v1 FROM `_mayfly`.`plan_0123456789abcdef` q WHERE q.v1 IS NOT NULL) AND g.digest NOT IN (SELECT k.digest FROM (SELECT o.field AS field, o.digest AS digest FROM `_mayfly`.`pairs_0123456789abcdef` o JOIN (SELECT DISTINCT field, digest FROM `_mayfly`.`gone_0123456789abcdef`) w ON w.field = o.field AND w.digest = o.digest LEFT JOIN `_mayfly`.`gone_0123456789abcdef` h ON h.field = o.field AND h.digest = o.digest AND o.k0 = h.k0 WHERE h.field IS NULL) k WHERE k.field = 'EMAIL')) AS mf_g) AS mf_n;

SELECT CAST(d.batch AS BIGINT) AS batch, CAST(d.pos AS BIGINT) AS pos, CAST(max(s.since) AS BIGINT) AS since FROM `_mayfly`.`drop_0123456789abcdef` d JOIN `_mayfly`.`gone_0123456789abcdef` g ON g.field = d.field AND g.digest = d.digest JOIN `_mayfly`.`scan_0123456789abcdef` s ON g.k0 = s.k0 WHERE d.batch < 0 AND s.c = 5 AND s.since IS NOT NULL GROUP BY d.batch, d.pos;

UPDATE `_mayfly`.`states` AS mf_t SET plan_run = 'r1', plan_versions = 'v1', plan_suppression = 1, plan_layout = '{"run": "r5", "mode": "audience", "external": true, "by_identifier": true, "erase_withdrawn": true, "versions": "v1", "fields": [["PHONE", true], ["EMAIL", true]], "suppression": 1, "sent_as": [1], "copy": 5}' WHERE sid = 'da67b4555d38e920' AND fence = 1;

