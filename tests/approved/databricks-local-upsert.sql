SELECT id, email, city, ok FROM `people`;

CREATE TEMPORARY TABLE `mf_state` (k0 bigint, fp BINARY, `out` BINARY, redo BOOLEAN NOT NULL, present BOOLEAN NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, s0 BINARY);

CREATE TEMPORARY TABLE `mf_pairs` (k0 bigint, field STRING NOT NULL, digest BINARY NOT NULL, perhaps BOOLEAN NOT NULL, stale BOOLEAN NOT NULL);

CREATE TEMPORARY TABLE `mf_rejected` (k0 bigint, fp BINARY, versions STRING NOT NULL, code INT NOT NULL, reason STRING, vendor STRING, run STRING, noted_at BIGINT NOT NULL);

/* mayfly sync=people run=r1 scan */ CREATE TEMPORARY TABLE `mf_scan` AS SELECT row_number() OVER (ORDER BY NULL) - 1 AS n, c, k0, fp, s_out, redo, h0 AS s0, CASE WHEN need AND (h0 IS NULL) THEN NOT (((x0 IS NULL OR x0 NOT LIKE 'x%'))) ELSE FALSE END AS o0, w FROM (SELECT *, CASE WHEN need THEN CASE WHEN (x0 IS NULL OR x0 NOT LIKE 'x%') THEN unhex(sha2(x0, 256)) END END AS h0 FROM (SELECT c, k0, redo, c IN (1, 2, 9, 14, 8) AS need, CASE WHEN c IN (1, 2, 9, 14, 8) THEN fp END AS fp, CASE WHEN c IN (1, 2, 9, 14, 8) THEN s_out END AS s_out, CASE WHEN c IN (1, 2, 9, 14, 8) THEN w END AS w, x0 FROM (SELECT CAST(CASE WHEN m.here IS NULL AND s.present THEN 4 WHEN m.here IS NULL THEN NULL WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.redo THEN 9 WHEN m.g = 1 AND s.present AND s.fp = m.fp THEN 3 WHEN m.g = 1 AND s.present THEN 2 WHEN m.g = 1 THEN 1 WHEN s.present AND m.g = 0 THEN 5 WHEN s.present THEN 6 ELSE 7 END AS SMALLINT) AS c, coalesce(m.k0, s.k0) AS k0, m.fp AS fp, s.out AS s_out, coalesce(s.redo, FALSE) AS redo, m.x0 AS x0, m.w AS w FROM (SELECT `id` AS k0, unhex(md5(concat(coalesce(CAST(`city` AS STRING), ''), coalesce(CAST(`email` AS STRING), ''), coalesce(CAST(`id` AS STRING), ''), coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`id` AS STRING)) AS STRING), 'n')))) AS fp, TRUE AS here, CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END AS g, `email` AS x0, (coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS BIGINT), 0) + coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS BIGINT), 0)) AS w FROM (SELECT id, email, city, ok FROM `people`) AS mf_model) m FULL OUTER JOIN `mf_state` s ON m.k0 = s.k0) AS mf_c WHERE c IS NOT NULL) AS mf_h0) AS mf_w;

SELECT count(*) AS n FROM `mf_scan` WHERE k0 IS NULL;

SELECT count(*) AS n FROM (SELECT 1 AS one FROM `mf_scan` GROUP BY k0 HAVING count(*) > 1) AS mf_d;

SELECT coalesce(sum(CASE WHEN o0 THEN 1 ELSE 0 END), 0) AS o0 FROM `mf_scan`;

/* mayfly sync=people run=r1 outside 0 */ SELECT q.n AS n, m.x AS x, m.y AS y FROM `mf_scan` q JOIN (SELECT `id` AS k0, CAST(`email` AS STRING) AS x, CAST(NULL AS STRING) AS y FROM (SELECT id, email, city, ok FROM `people`) AS mf_model WHERE (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 1) m ON q.k0 = m.k0 WHERE q.o0;

MERGE INTO `mf_scan` AS mf_t USING mf_load_1 w ON mf_t.n = w.n WHEN MATCHED THEN UPDATE SET s0 = w.d;

SELECT CAST(coalesce(avg(w), 0) AS BIGINT) AS n FROM `mf_scan` WHERE w IS NOT NULL;

UPDATE `mf_scan` AS mf_t SET c = 13 WHERE c IN (9, 2) AND NOT redo AND s_out = fp;

/* mayfly sync=people run=r1 plan */ CREATE TEMPORARY TABLE `mf_plan` AS SELECT CAST(0 + ((rn) DIV 3) AS INT) AS batch, CAST((rn) % 3 AS INT) AS pos, k0, fp, `out`, s0 FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, k0, fp, fp AS `out`, s0 FROM `mf_scan` WHERE c IN (1, 2, 9, 14)) AS mf_n;

/* mayfly sync=people run=r1 drop */ CREATE TEMPORARY TABLE `mf_drop` AS SELECT CAST(0 AS INT) AS batch, CAST(0 AS INT) AS pos, CAST(NULL AS STRING) AS field, CAST(NULL AS BINARY) AS digest, CAST(NULL AS bigint) AS k0 LIMIT 0;

SELECT coalesce(max(batch), -1) AS n FROM `mf_plan`;

SELECT coalesce(max(batch), -1) AS n FROM `mf_drop`;

INSERT INTO `mf_drop` SELECT CAST(2 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), CAST(NULL AS STRING), CAST(NULL AS BINARY), k0 FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, s.k0 AS k0 FROM `mf_scan` s JOIN `mf_state` t ON s.k0 = t.k0 WHERE t.present AND s.c IN (5, 10)) AS mf_n;

INSERT INTO `mf_drop` SELECT CAST(2 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), CAST(NULL AS STRING), CAST(NULL AS BINARY), k0 FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, s.k0 AS k0 FROM `mf_scan` s JOIN `mf_state` t ON s.k0 = t.k0 WHERE t.present AND s.c IN (6)) AS mf_n;

/* mayfly sync=people run=r1 batches */ CREATE TEMPORARY TABLE `mf_batches` AS SELECT batch, CAST('write' AS STRING) AS op, CAST(NULL AS STRING) AS field, count(*) AS size FROM `mf_plan` GROUP BY batch UNION ALL SELECT batch, CAST('remove' AS STRING) AS op, field, count(*) AS size FROM `mf_drop` GROUP BY batch, field;

SELECT c, count(*) AS n, coalesce(sum(CASE WHEN redo THEN 1 ELSE 0 END), 0) AS redo FROM `mf_scan` GROUP BY c;

SELECT count(*) AS n FROM `mf_drop`;

SELECT count(*) AS n FROM `mf_state` WHERE present;

SELECT batch, op, field, CAST(size AS BIGINT) AS size FROM `mf_batches` ORDER BY batch;

SELECT pos, CAST(k0 AS STRING) AS t0, unhex(sha2(concat(coalesce(CAST(k0 AS STRING), ''), coalesce(CAST(octet_length(CAST(k0 AS STRING)) AS STRING), 'n')), 256)) AS kd, fp, `out`, s0 AS c0 FROM `mf_plan` WHERE batch = 0;

SELECT unhex(sha2(concat(coalesce(CAST(k0 AS STRING), ''), coalesce(CAST(octet_length(CAST(k0 AS STRING)) AS STRING), 'n')), 256)) AS kd, c FROM `mf_scan` WHERE c IN (5, 6, 10, 12);

SELECT unhex(sha2(concat(coalesce(CAST(k0 AS STRING), ''), coalesce(CAST(octet_length(CAST(k0 AS STRING)) AS STRING), 'n')), 256)) AS kd, c, fp FROM `mf_scan` WHERE c = 13;

CREATE TEMPORARY TABLE `mf_plan` AS SELECT CAST(batch AS INT) AS batch, CAST(pos AS INT) AS pos, CAST(t0 AS bigint) AS k0 FROM mf_rows;

/* mayfly sync=people run=r1 batches=0-1 */ SELECT q.batch, q.pos, m.f0 AS f0, m.f1 AS f1, m.f2 AS f2 FROM `mf_plan` q JOIN (SELECT `id` AS k0, `id` AS f0, `city` AS f1, `email` AS f2 FROM (SELECT id, email, city, ok FROM `people`) AS mf_model WHERE (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 1) m ON q.k0 = m.k0 WHERE q.batch BETWEEN 0 AND 1;

/* mayfly sync=people run=r1 known */ CREATE TEMPORARY TABLE mf_known AS SELECT row_number() OVER (ORDER BY NULL) - 1 AS n, k0, unhex(sha2(concat(coalesce(CAST(k0 AS STRING), ''), coalesce(CAST(octet_length(CAST(k0 AS STRING)) AS STRING), 'n')), 256)) AS kd, fp FROM (SELECT `id` AS k0, unhex(md5(concat(coalesce(CAST(`city` AS STRING), ''), coalesce(CAST(`email` AS STRING), ''), coalesce(CAST(`id` AS STRING), ''), coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`id` AS STRING)) AS STRING), 'n')))) AS fp FROM (SELECT id, email, city, ok FROM `people`) AS mf_m) AS mf_k WHERE k0 IS NOT NULL;

SELECT coalesce(min(n), 0) AS first, coalesce(max(n) + 1, 0) AS past FROM mf_known;

SELECT n, kd, fp FROM mf_known WHERE TRUE AND n >= 0 AND n < 200000;

INSERT INTO `mf_state` (k0, fp, `out`, redo, present, first_at, last_at) SELECT m.k0, CASE WHEN w.same THEN m.fp ELSE encode('', 'UTF-8') END, CASE WHEN w.same THEN m.fp ELSE encode('', 'UTF-8') END, w.redo, w.present, 0, w.last_at FROM mf_known m JOIN mf_found_1 w ON w.n = m.n;

INSERT INTO `mf_drop` SELECT CAST(1 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), CAST(NULL AS STRING), CAST(NULL AS BINARY), k0 FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, s.k0 AS k0 FROM `mf_scan` s JOIN `mf_state` t ON s.k0 = t.k0 WHERE t.present AND s.c IN (5, 10)) AS mf_n;

INSERT INTO `mf_drop` SELECT CAST(1 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), CAST(NULL AS STRING), CAST(NULL AS BINARY), k0 FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, s.k0 AS k0 FROM `mf_scan` s JOIN `mf_state` t ON s.k0 = t.k0 WHERE t.present AND s.c IN (6)) AS mf_n;

/* mayfly sync=people run=r1 scan */ CREATE TEMPORARY TABLE `mf_scan` AS SELECT row_number() OVER (ORDER BY NULL) - 1 AS n, c, k0, fp, s_out, redo, h0 AS s0, CASE WHEN need AND (h0 IS NULL) THEN NOT (((x0 IS NULL OR x0 NOT LIKE 'x%'))) ELSE FALSE END AS o0, w FROM (SELECT *, CASE WHEN need THEN CASE WHEN (x0 IS NULL OR x0 NOT LIKE 'x%') THEN unhex(sha2(x0, 256)) END END AS h0 FROM (SELECT c, k0, redo, c IN (1, 2, 9, 14, 8) AS need, CASE WHEN c IN (1, 2, 9, 14, 8) THEN fp END AS fp, CASE WHEN c IN (1, 2, 9, 14, 8) THEN s_out END AS s_out, CASE WHEN c IN (1, 2, 9, 14, 8) THEN w END AS w, x0 FROM (SELECT CAST(CASE WHEN m.here IS NULL AND s.present THEN 4 WHEN m.here IS NULL THEN NULL WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.redo THEN 9 WHEN m.g = 1 AND s.present AND s.fp = m.fp THEN 9 WHEN m.g = 1 AND s.present THEN 2 WHEN m.g = 1 THEN 1 WHEN s.present AND m.g = 0 THEN 5 WHEN s.present THEN 6 ELSE 7 END AS SMALLINT) AS c, coalesce(m.k0, s.k0) AS k0, m.fp AS fp, s.out AS s_out, coalesce(s.redo, FALSE) AS redo, m.x0 AS x0, m.w AS w FROM (SELECT `id` AS k0, unhex(md5(concat(coalesce(CAST(`city` AS STRING), ''), coalesce(CAST(`email` AS STRING), ''), coalesce(CAST(`id` AS STRING), ''), coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`id` AS STRING)) AS STRING), 'n')))) AS fp, TRUE AS here, CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END AS g, `email` AS x0, (coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS BIGINT), 0) + coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS BIGINT), 0)) AS w FROM (SELECT id, email, city, ok FROM `people`) AS mf_model) m FULL OUTER JOIN `mf_state` s ON m.k0 = s.k0) AS mf_c WHERE c IS NOT NULL) AS mf_h0) AS mf_w;

SELECT coalesce(min(n), 0) AS first, coalesce(max(n) + 1, 0) AS past FROM `mf_scan`;

SELECT n AS n, s0 FROM `mf_scan` WHERE c IN (1, 2, 9, 14, 8) AND n >= 0 AND n < 200000;

UPDATE `mf_scan` AS mf_t SET c = 10 WHERE mf_t.n IN (SELECT n FROM mf_load_1);

SELECT pos, CAST(k0 AS STRING) AS t0, unhex(sha2(concat(coalesce(CAST(k0 AS STRING), ''), coalesce(CAST(octet_length(CAST(k0 AS STRING)) AS STRING), 'n')), 256)) AS kd FROM `mf_drop` WHERE batch = 0;

CREATE TEMPORARY TABLE `mf_drop` AS SELECT CAST(batch AS INT) AS batch, CAST(pos AS INT) AS pos, CAST(t0 AS bigint) AS k0 FROM mf_rows;

/* mayfly sync=people run=r1 batches=0-1 */ SELECT q.batch, q.pos, q.k0 AS f0 FROM `mf_drop` q WHERE q.batch BETWEEN 0 AND 1;

/* mayfly sync=people run=r1 batches=0-1 */ SELECT q.batch, q.pos, m.f0 AS f0, m.f1 AS f1, m.f2 AS f2, m.s0 AS s0, m.x0 AS x0, m.y0 AS y0 FROM `mf_plan` q JOIN (SELECT `id` AS k0, `id` AS f0, `city` AS f1, `email` AS f2, CASE WHEN (`email` IS NULL OR `email` NOT LIKE 'x%') THEN unhex(sha2(`email`, 256)) END AS s0, CASE WHEN NOT ((`email` IS NULL OR `email` NOT LIKE 'x%')) THEN CAST(`email` AS STRING) END AS x0, CAST(NULL AS STRING) AS y0 FROM (SELECT id, email, city, ok FROM `people`) AS mf_model WHERE (CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END) = 1) m ON q.k0 = m.k0 WHERE q.batch BETWEEN 0 AND 1;

INSERT INTO `mf_rejected` (k0, fp, versions, code, noted_at) SELECT m.k0, m.fp, w.versions, CAST(w.code AS INT), 0 FROM mf_known m JOIN mf_found_1 w ON w.n = m.n;

/* mayfly sync=people run=r1 scan */ CREATE TEMPORARY TABLE `mf_scan` AS SELECT row_number() OVER (ORDER BY NULL) - 1 AS n, c, k0, fp, s_out, redo, h0 AS s0, CASE WHEN need AND (h0 IS NULL) THEN NOT (((x0 IS NULL OR x0 NOT LIKE 'x%'))) ELSE FALSE END AS o0, w FROM (SELECT *, CASE WHEN need THEN CASE WHEN (x0 IS NULL OR x0 NOT LIKE 'x%') THEN unhex(sha2(x0, 256)) END END AS h0 FROM (SELECT c, k0, redo, c IN (1, 2, 9, 14, 8) AS need, CASE WHEN c IN (1, 2, 9, 14, 8) THEN fp END AS fp, CASE WHEN c IN (1, 2, 9, 14, 8) THEN s_out END AS s_out, CASE WHEN c IN (1, 2, 9, 14, 8) THEN w END AS w, x0 FROM (SELECT CAST(CASE WHEN m.here IS NULL AND s.present THEN 4 WHEN m.here IS NULL THEN NULL WHEN m.g = 1 AND r.fp IS NOT NULL THEN 8 WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.redo THEN 9 WHEN m.g = 1 AND s.present AND s.fp = m.fp THEN 3 WHEN m.g = 1 AND s.present THEN 2 WHEN m.g = 1 THEN 1 WHEN s.present AND m.g = 0 THEN 5 WHEN s.present THEN 6 ELSE 7 END AS SMALLINT) AS c, coalesce(m.k0, s.k0) AS k0, m.fp AS fp, s.out AS s_out, coalesce(s.redo, FALSE) AS redo, m.x0 AS x0, m.w AS w FROM (SELECT `id` AS k0, unhex(md5(concat(coalesce(CAST(`city` AS STRING), ''), coalesce(CAST(`email` AS STRING), ''), coalesce(CAST(`id` AS STRING), ''), coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS STRING), 'n'), ';', coalesce(CAST(octet_length(CAST(`id` AS STRING)) AS STRING), 'n')))) AS fp, TRUE AS here, CASE WHEN `ok` IS NULL THEN NULL WHEN (`ok` IN (TRUE)) THEN 1 ELSE 0 END AS g, `email` AS x0, (coalesce(CAST(octet_length(CAST(`city` AS STRING)) AS BIGINT), 0) + coalesce(CAST(octet_length(CAST(`email` AS STRING)) AS BIGINT), 0)) AS w FROM (SELECT id, email, city, ok FROM `people`) AS mf_model) m FULL OUTER JOIN `mf_state` s ON m.k0 = s.k0 LEFT JOIN `mf_rejected` r ON m.k0 = r.k0 AND r.fp = m.fp AND r.versions = 'v1') AS mf_c WHERE c IS NOT NULL) AS mf_h0) AS mf_w;

INSERT INTO `mf_drop` SELECT CAST(0 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), CAST(NULL AS STRING), CAST(NULL AS BINARY), k0 FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, s.k0 AS k0 FROM `mf_scan` s JOIN `mf_state` t ON s.k0 = t.k0 WHERE t.present AND s.c IN (5, 10)) AS mf_n;

INSERT INTO `mf_drop` SELECT CAST(0 + ((rn) DIV 3) AS INT), CAST((rn) % 3 AS INT), CAST(NULL AS STRING), CAST(NULL AS BINARY), k0 FROM (SELECT row_number() OVER (ORDER BY NULL) - 1 AS rn, s.k0 AS k0 FROM `mf_scan` s JOIN `mf_state` t ON s.k0 = t.k0 WHERE t.present AND s.c IN (6)) AS mf_n;

