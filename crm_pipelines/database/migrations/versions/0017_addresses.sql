-- One normal form of every address, the same that deliveries have (crms/normalize.py): stored, unique, and what is compared.

-- crm_address(text): the normal form, of an address as people write it; of what is no valid address, a form that is as
-- stable. NULL for what is blank. Needs no extension, no collation and no other function, so that an index may use it.
-- Exactly what normalize.address() gives for all that this accepts, of characters in Unicode 18 or older.
DO $do$
DECLARE
    -- Runs of code points: first-last/step>first of what they become. UTS 46, table of Unicode 18 (idna 3.20).
    lowered text := $runs$
        c0-d6>e0 d8-de>f8 100-12e/2>101 132-136/2>133 139-147/2>13a 14a-176/2>14b 178>ff 179-17d/2>17a 181>253
        182-184/2>183 186>254 187>188 189-18a>256 18b>18c 18e>1dd 18f>259 190>25b 191>192 193>260 194>263
        196>269 197>268 198>199 19c>26f 19d>272 19f>275 1a0-1a4/2>1a1 1a6>280 1a7>1a8 1a9>283 1ac>1ad 1ae>288
        1af>1b0 1b1-1b2>28a 1b3-1b5/2>1b4 1b7>292 1b8>1b9 1bc>1bd 1c4>1c6 1c5>1c6 1c7>1c9 1c8>1c9 1ca>1cc
        1cb-1db/2>1cc 1de-1ee/2>1df 1f1>1f3 1f2-1f4/2>1f3 1f6>195 1f7>1bf 1f8-21e/2>1f9 220>19e 222-232/2>223
        23a>2c65 23b>23c 23d>19a 23e>2c66 241>242 243>180 244>289 245>28c 246-24e/2>247 370-372/2>371 376>377
        37f>3f3 386>3ac 388-38a>3ad 38c>3cc 38e-38f>3cd 391-3a1>3b1 3a3-3ab>3c3 3cf>3d7 3d8-3ee/2>3d9 3f4>3b8
        3f7>3f8 3f9>3f2 3fa>3fb 3fd-3ff>37b 400-40f>450 410-42f>430 460-480/2>461 48a-4be/2>48b 4c0>4cf
        4c1-4cd/2>4c2 4d0-52e/2>4d1 531-556>561 10a0-10c5>2d00 10c7>2d27 10cd>2d2d 13a0-13ef>ab70 13f0-13f5>13f8
        1c89>1c8a 1c90-1cba>10d0 1cbd-1cbf>10fd 1e00-1e94/2>1e01 1e9e>df 1ea0-1efe/2>1ea1 1f08-1f0f>1f00
        1f18-1f1d>1f10 1f28-1f2f>1f20 1f38-1f3f>1f30 1f48-1f4d>1f40 1f59-1f5f/2>1f51 1f68-1f6f>1f60
        1f88-1f8f>1f80 1f98-1f9f>1f90 1fa8-1faf>1fa0 1fb8-1fb9>1fb0 1fba-1fbb>1f70 1fbc>1fb3 1fc8-1fcb>1f72
        1fcc>1fc3 1fd8-1fd9>1fd0 1fda-1fdb>1f76 1fe8-1fe9>1fe0 1fea-1feb>1f7a 1fec>1fe5 1ff8-1ff9>1f78
        1ffa-1ffb>1f7c 1ffc>1ff3 2126>3c9 212a>6b 212b>e5 2132>214e 2160-216f>2170 2183>2184 24b6-24cf>24d0
        2c00-2c2f>2c30 2c60>2c61 2c62>26b 2c63>1d7d 2c64>27d 2c67-2c6b/2>2c68 2c6d>251 2c6e>271 2c6f>250
        2c70>252 2c72>2c73 2c75>2c76 2c7e-2c7f>23f 2c80-2ce2/2>2c81 2ceb-2ced/2>2cec 2cf2>2cf3 a640-a66c/2>a641
        a680-a69a/2>a681 a722-a72e/2>a723 a732-a76e/2>a733 a779-a77b/2>a77a a77d>1d79 a77e-a786/2>a77f a78b>a78c
        a78d>265 a790-a792/2>a791 a796-a7a8/2>a797 a7aa>266 a7ab>25c a7ac>261 a7ad>26c a7ae>26a a7b0>29e
        a7b1>287 a7b2>29d a7b3>ab53 a7b4-a7c2/2>a7b5 a7c4>a794 a7c5>282 a7c6>1d8e a7c7-a7c9/2>a7c8 a7cb>264
        a7cc-a7da/2>a7cd a7dc>19b a7f5>a7f6 ff21-ff3a>ff41 10400-10427>10428 104b0-104d3>104d8 10570-1057a>10597
        1057c-1058a>105a3 1058c-10592>105b3 10594-10595>105bb 10c80-10cb2>10cc0 10d50-10d65>10d70
        118a0-118bf>118c0 16e40-16e5f>16e60 16ea0-16eb8>16ebb 1e900-1e921>1e922
    $runs$;
    -- What UTS 46 maps a domain's characters to, where compatibility decomposition and lower case give something else.
    mapped text := $runs$
        345>3b9 3f2>3c3 558>567 58b>56b 58c>575 13a0-13f5>13a0 13f8-13fd>13f0 1c80>432 1c81>434 1c82>43e
        1c83-1c84>441 1c85>442 1c86>44a 1c87>463 1c88>a64b 209d>77 209e-209f>79 3002>2e a7dd>277 a7e2>27c
        a7f1>73 a7f2>63 a7f3>66 a7f4>71 ab6c-ab6d>ab4b ab70-abbf>13a0 ff61>2e 10780>10780 10781-10782>2d0
        10783>e6 10784>299 10785>253 10787>2a3 10788>ab66 10789>2a5 1078a>2a4 1078b-1078c>256 1078d>1d91
        1078e>258 1078f>25e 10790>2a9 10791>264 10792>262 10793>260 10794>29b 10795>127 10796>29c 10797>267
        10798>284 10799-1079a>2aa 1079b>26c 1079c>1df04 1079d>a78e 1079e>26e 1079f>1df05 107a0>28e 107a1>1df06
        107a2>f8 107a3-107a4>276 107a5>71 107a6>27a 107a7>1df08 107a8-107a9>27d 107aa>280 107ab>2a8 107ac>2a6
        107ad>ab67 107ae>2a7 107af>288 107b0>2c71 107b2>28f 107b3-107b4>2a1 107b5>298 107b6-107b8>1c0
        107b9>1df0a 107ba>1df1e 107bb>287 107bc-107bd>296 107be>29e 107bf>1df0b 1ccd6-1ccef>61 1ccf0-1ccf9>30
        1d6d3>3c3 1d70d>3c3 1d747>3c3 1d781>3c3 1d7bb>3c3 1df40>1df41 1df48-1df4a/2>1df49 1df4d>1df4e
        1df51>1df52 1df68-1df6e/2>1df69 1df72-1df7e/2>1df73 1dfcd-1dfcf>1df57 1dfd0>263 1dfd1>1d18 1dfd2>180
        1dfd3>111 1dfd4>1e5 1dfd5>142 1dfd6>19a 1dfd7>1df50 1dfd8>1df3e 1dfd9>249 1dfda>1d7f 1dfdb>1df3f
        1dfdc>19e 1dfdd>27c 1dfde-1dfdf>238 1dfe0>1df2b 1dfe1>1df19 1dfe2>286 1dfe3>1d98 1dfe4>1df2c 1dfe5>1df1c
        1dfe6>293 1dfe7>1d9a 1dfe8>1d05 1dfe9>1d00 1dfea>1d07 1dfeb>27f 1dfec>285 1dfed-1dfee>2ae 1dfef>221
        1dff0-1dff2>234 1dff3-1dff4>3c8 1dff5>1d81 1dff6>a795 1dff7>1d87 1dff8>1d8a 1dff9>1d8e 1dffa>188
        1dffb>199 1dffc>1a5 1dffd>2a0 1dffe>1ad 1dfff>1df09 1e030-1e038>430 1e039-1e03b>43a 1e03c-1e046>43e
        1e047>44b 1e048-1e049>44d 1e04a>a689 1e04b>4d9 1e04c>456 1e04d>458 1e04e>4e9 1e04f>4af 1e050>4cf
        1e051-1e059>430 1e05a-1e05b>43a 1e05c-1e05d>43e 1e05e>441 1e05f-1e064>443 1e065-1e066>44a 1e067>491
        1e068>456 1e069>455 1e06a>45f 1e06b>4ab 1e06c>a651 1e06d>4b1
    $runs$;
    ignored text := $runs$
        ad 34f 115f-1160 17b4-17b5 180b-180f 200b 2060-2064 206a-206f 3164 fe00-fe0f feff ffa0 1bca0-1bca3
        1d173-1d17a e0100-e01ef
    $runs$;
    -- The same, of one character into several.
    spread text := $runs$
        1f80>1f00+3b9 1f81>1f01+3b9 1f82>1f02+3b9 1f83>1f03+3b9 1f84>1f04+3b9 1f85>1f05+3b9 1f86>1f06+3b9
        1f87>1f07+3b9 1f88>1f00+3b9 1f89>1f01+3b9 1f8a>1f02+3b9 1f8b>1f03+3b9 1f8c>1f04+3b9 1f8d>1f05+3b9
        1f8e>1f06+3b9 1f8f>1f07+3b9 1f90>1f20+3b9 1f91>1f21+3b9 1f92>1f22+3b9 1f93>1f23+3b9 1f94>1f24+3b9
        1f95>1f25+3b9 1f96>1f26+3b9 1f97>1f27+3b9 1f98>1f20+3b9 1f99>1f21+3b9 1f9a>1f22+3b9 1f9b>1f23+3b9
        1f9c>1f24+3b9 1f9d>1f25+3b9 1f9e>1f26+3b9 1f9f>1f27+3b9 1fa0>1f60+3b9 1fa1>1f61+3b9 1fa2>1f62+3b9
        1fa3>1f63+3b9 1fa4>1f64+3b9 1fa5>1f65+3b9 1fa6>1f66+3b9 1fa7>1f67+3b9 1fa8>1f60+3b9 1fa9>1f61+3b9
        1faa>1f62+3b9 1fab>1f63+3b9 1fac>1f64+3b9 1fad>1f65+3b9 1fae>1f66+3b9 1faf>1f67+3b9 1fb2>1f70+3b9
        1fb3>3b1+3b9 1fb4>3ac+3b9 1fb7>1fb6+3b9 1fbc>3b1+3b9 1fc2>1f74+3b9 1fc3>3b7+3b9 1fc4>3ae+3b9
        1fc7>1fc6+3b9 1fcc>3b7+3b9 1ff2>1f7c+3b9 1ff3>3c9+3b9 1ff4>3ce+3b9 1ff7>1ff6+3b9 1ffc>3c9+3b9
        1b123>3053+3068 1b124>30c8+30ad 1b125>30c8+30c6 1b126>30e8+30ea 1d6a6>73+73 1df95>73+73
    $runs$;
    -- Nobody sees them at the edges; of controls, all but tab and line ends go from within, too.
    edges text := $runs$
        9-d 20 a0 ad 1680 180e 2000-200f 2028-2029 202f 205f-2060 2800 3000 3164 feff
    $runs$;
    controls text := $runs$
        1-8 b-c e-1f 7f-9f
    $runs$;
    upper_from text;
    upper_to text;
    mapped_from text;
    mapped_to text;
    ignored_all text;
    spread_all text;
    edges_all text;
    controls_all text;
BEGIN
    CREATE FUNCTION pg_temp.number(text) RETURNS int LANGUAGE sql AS $$ SELECT ('x' || lpad($1, 8, '0'))::bit(32)::int $$;
    CREATE FUNCTION pg_temp.characters(p_runs text, OUT characters text, OUT become text) LANGUAGE sql AS $$
        SELECT string_agg(chr(point), '' ORDER BY point),
               string_agg(chr(pg_temp.number(parts[4]) + point - pg_temp.number(parts[1])), '' ORDER BY point)
          FROM regexp_split_to_table(btrim(p_runs, E' \n'), '\s+') run,
               regexp_match(run, '^([0-9a-f]+)(?:-([0-9a-f]+))?(?:/(\d))?(?:>([0-9a-f]+))?$') parts,
               generate_series(pg_temp.number(parts[1]), pg_temp.number(coalesce(parts[2], parts[1])),
                               coalesce(parts[3], '1')::int) point
    $$;
    SELECT characters, become INTO upper_from, upper_to FROM pg_temp.characters(lowered);
    SELECT characters, become INTO mapped_from, mapped_to FROM pg_temp.characters(mapped);
    SELECT characters INTO ignored_all FROM pg_temp.characters(ignored);
    SELECT characters INTO edges_all FROM pg_temp.characters(edges);
    SELECT characters INTO controls_all FROM pg_temp.characters(controls);
    SELECT string_agg(chr(pg_temp.number(split_part(one, '>', 1)))
                      || (SELECT string_agg(chr(pg_temp.number(into_one)), '' ORDER BY place)
                            FROM unnest(string_to_array(split_part(one, '>', 2), '+'))
                                 WITH ORDINALITY AS several (into_one, place)), ' ')
      INTO spread_all FROM regexp_split_to_table(btrim(spread, E' \n'), '\s+') one;
    DROP FUNCTION pg_temp.characters(text);
    DROP FUNCTION pg_temp.number(text);

    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION crm_address(p_email text) RETURNS text
        LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
        DECLARE
            written text := lower(p_email COLLATE "C");
        BEGIN
            IF written ~ '^[!-~]+$' THEN  -- nearly all of them
                RETURN written;
            END IF;
            written := btrim(translate(written, %1$L, ''), %2$L);
            -- Nothing longer can be sent (RFC 5321), and the rest would take its time.
            IF written ~ '^[ -~]*$' OR length(written) > 254 THEN
                RETURN nullif(written, '');
            END IF;
            DECLARE
                local text;
                domain text;
                labels text[];
                several text;
                -- RFC 3492
                points int[];
                point int;
                encoded text;
                plain int;
                handled int;
                n int;
                next_n int;
                delta bigint;
                bias int;
                q bigint;
                k int;
                digit int;
            BEGIN
                domain := substring(written FROM '@([^@]*)$');
                local := left(written, length(written) - coalesce(length(domain) + 1, 0));
                -- A capital sigma at the end of a word is a final one.
                local := regexp_replace(local, '([^.])' || chr(931) || '(?=\.|$)', '\1' || chr(962), 'g');
                -- Only what has such a letter: a look is quick, and the translation of many letters is not.
                IF local ~ %8$L THEN
                    local := translate(replace(local, chr(304), 'i' || chr(775)), %3$L, %4$L);
                END IF;
                local := normalize(local, NFC);
                IF domain IS NULL THEN
                    RETURN local;
                END IF;
                IF domain !~ '^[ -~]*$' THEN
                    IF domain ~ %9$L THEN
                        domain := translate(domain, %5$L, %6$L);
                        FOREACH several IN ARRAY string_to_array(%7$L, ' ') LOOP
                            domain := replace(domain, left(several, 1), substr(several, 2));
                        END LOOP;
                    END IF;
                    domain := lower(normalize(domain, NFKD) COLLATE "C");
                    IF domain ~ %8$L THEN
                        domain := translate(domain, %3$L, %4$L);
                        domain := translate(domain, %5$L, %6$L);  -- Cherokee has its capitals for its normal form
                    END IF;
                    domain := normalize(domain, NFKC);
                    labels := string_to_array(domain, '.');
                    FOR i IN 1 .. cardinality(labels) LOOP
                        CONTINUE WHEN labels[i] ~ '^[ -~]*$';
                        points := ARRAY(SELECT ascii(c) FROM regexp_split_to_table(labels[i], '') WITH ORDINALITY AS s (c, o)
                                         ORDER BY o);
                        encoded := regexp_replace(labels[i], '[^ -~]', '', 'g');
                        handled := length(encoded);
                        IF handled > 0 THEN
                            encoded := encoded || '-';
                        END IF;
                        n := 128;
                        delta := 0;
                        bias := 72;
                        plain := handled;
                        WHILE handled < cardinality(points) LOOP
                            next_n := 2147483647;
                            FOREACH point IN ARRAY points LOOP
                                IF point >= n AND point < next_n THEN
                                    next_n := point;
                                END IF;
                            END LOOP;
                            delta := delta + (next_n - n)::bigint * (handled + 1);
                            n := next_n;
                            FOREACH point IN ARRAY points LOOP
                                IF point < n THEN
                                    delta := delta + 1;
                                ELSIF point = n THEN
                                    q := delta;
                                    k := 36;
                                    LOOP
                                        digit := greatest(1, least(26, k - bias));
                                        EXIT WHEN q < digit;
                                        encoded := encoded || substr('abcdefghijklmnopqrstuvwxyz0123456789',
                                                                     (digit + (q - digit) %% (36 - digit))::int + 1, 1);
                                        q := (q - digit) / (36 - digit);
                                        k := k + 36;
                                    END LOOP;
                                    encoded := encoded || substr('abcdefghijklmnopqrstuvwxyz0123456789', q::int + 1, 1);
                                    delta := CASE WHEN handled = plain THEN delta / 700 ELSE delta / 2 END;
                                    delta := delta + delta / (handled + 1);
                                    k := 0;
                                    WHILE delta > 455 LOOP
                                        delta := delta / 35;
                                        k := k + 36;
                                    END LOOP;
                                    bias := (k + 36 * delta / (delta + 38))::int;
                                    delta := 0;
                                    handled := handled + 1;
                                END IF;
                            END LOOP;
                            delta := delta + 1;
                            n := n + 1;
                        END LOOP;
                        labels[i] := 'xn--' || encoded;
                    END LOOP;
                    domain := array_to_string(labels, '.');
                END IF;
                RETURN local || '@' || domain;
            END;
        END $body$
    $create$, controls_all, edges_all, upper_from, upper_to, mapped_from || ignored_all, mapped_to, spread_all,
       '[' || chr(304) || upper_from || ']',
       '[' || mapped_from || ignored_all || regexp_replace(spread_all, '(^|\s)(.)\S+', '\2', 'g') || ']');
END $do$;
COMMENT ON FUNCTION crm_address(text) IS 'The normal form of an address, in which two are compared and deliveries send it.';

-- The column, and a trigger that keeps it. Whatever is written comes out as the address's normal form.
-- NULL although there is an address: a twin, the later of two rows of before that are one address. It is never sent.
ALTER TABLE crm_contacts ADD COLUMN IF NOT EXISTS address text;
COMMENT ON COLUMN crm_contacts.address IS 'crm_address(email); NULL if there is none, or another contact has the same.';

CREATE OR REPLACE FUNCTION crm_contacts_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.address := crm_address(NEW.email);
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS crm_contacts_address ON crm_contacts;
CREATE TRIGGER crm_contacts_address BEFORE INSERT ON crm_contacts
    FOR EACH ROW EXECUTE FUNCTION crm_contacts_address();
DROP TRIGGER IF EXISTS crm_contacts_address_changed ON crm_contacts;
CREATE TRIGGER crm_contacts_address_changed BEFORE UPDATE OF email, address ON crm_contacts
    FOR EACH ROW WHEN (NEW.email IS DISTINCT FROM OLD.email
                       OR NEW.address IS NOT NULL AND NEW.address IS DISTINCT FROM OLD.address)
    EXECUTE FUNCTION crm_contacts_address();
