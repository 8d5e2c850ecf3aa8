-- Adds contacts, or changes those that have the address already: one, or many at once. The view `contacts` is no table,
-- so ON CONFLICT (email) cannot say so. docs/sql.md tells how they are called.
-- Everything runs with the rights of whoever calls it.

-- Why this cannot be a contact, in sentences without a value of it; NULL if it can.
CREATE FUNCTION crm_upsert_problem(p_item jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF p_item IS NULL THEN
        RETURN 'It holds a character or a number that Postgres cannot store.';
    ELSIF jsonb_typeof(p_item) <> 'object' THEN
        RETURN 'Expected a JSON object with the fields of a contact.';
    END IF;
    RETURN (
        SELECT string_agg(problem, ' ' ORDER BY key)
          FROM (SELECT key, CASE
                    WHEN kind IS NULL
                        THEN format('%s is no field of a contact.', to_jsonb(crm_error_text(left(key, 60))))
                    WHEN kind = 'address' AND (value = 'null' OR btrim(value #>> '{}') = '')
                        THEN 'email: it is missing.'
                    WHEN kind = 'address' AND (jsonb_typeof(value) <> 'string' OR crm_address(value #>> '{}') IS NULL
                                               OR crm_address(value #>> '{}') !~ '^[^[:space:]@]+@[^[:space:]@]+$')
                        THEN 'email: it is no e-mail address.'
                    WHEN kind = 'address' AND length(btrim(value #>> '{}')) > 254
                        THEN 'email: the address is longer than 254 characters.'
                    WHEN kind = 'address' OR value = 'null'
                        THEN NULL
                    WHEN kind = 'text' AND jsonb_typeof(value) <> 'string'
                        THEN format('%s: expected a text.', key)
                    WHEN kind = 'boolean' AND jsonb_typeof(value) <> 'boolean'
                        THEN format('%s: expected true or false.', key)
                    WHEN kind = 'uuid' AND (jsonb_typeof(value) <> 'string'
                                            OR value #>> '{}' !~* '^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$')
                        THEN format('%s: expected a UUID such as 123e4567-e89b-12d3-a456-426614174000.', key)
                    WHEN kind = 'object' AND jsonb_typeof(value) <> 'object'
                        THEN format('%s: expected a JSON object such as {"Tier": "gold"}.', key)
                    END AS problem
                  FROM jsonb_each('{"email": null}' || p_item)
                  LEFT JOIN (VALUES ('email', 'address'),
                                    ('name', 'text'),
                                    ('first_name', 'text'),
                                    ('last_name', 'text'),
                                    ('phone_number', 'text'),
                                    ('email_type', 'text'),
                                    ('has_gmail', 'boolean'),
                                    ('context', 'text'),
                                    ('source_url', 'text'),
                                    ('source_job_id', 'uuid'),
                                    ('domain_id', 'uuid'),
                                    ('page_id', 'uuid'),
                                    ('custom_fields', 'object')) field (key, kind) USING (key)) judged);
END $$;

-- Custom fields one by one: what is given wins, null takes the field away. Null for all of them takes all away.
CREATE FUNCTION crm_upsert_custom_fields(p_stored jsonb, p_given jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN p_given IS NULL THEN p_stored
                WHEN p_given = 'null' THEN '{}'
                ELSE (p_stored || p_given) - ARRAY(SELECT key FROM jsonb_each(p_given) WHERE value = 'null') END;
END $$;

-- The whole name and its parts, which stay in step. What is given is taken as it stands; null takes away what it stands for.
CREATE FUNCTION crm_upsert_names(p_stored crm_contacts, p_wanted crm_contacts, p_given jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    stored text[] := ARRAY[p_stored.name, p_stored.first_name, p_stored.last_name];
    parts text[] := ARRAY[p_wanted.first_name, p_wanted.last_name];
    name text := p_given ->> 'name';
    joined text := crm_joined_name(parts[1], parts[2]);
BEGIN
    IF p_given ?| ARRAY['first_name', 'last_name'] THEN
        IF name IS NULL OR btrim(name) = '' AND joined IS NOT NULL THEN
            name := CASE WHEN NOT p_given ? 'name' AND (joined IS NULL OR parts = stored[2:3])
                           OR crm_is_joined_name(stored[1], parts[1], parts[2])
                         THEN stored[1] ELSE joined END;
        END IF;
        RETURN name || parts;
    ELSIF NOT p_given ? 'name' OR name = stored[1] THEN
        RETURN stored;
    ELSIF crm_is_joined_name(name, stored[2], stored[3]) THEN
        RETURN name || stored[2:3];
    END IF;
    RETURN ARRAY[name, NULL, NULL];
END $$;

-- The items as jsonb. One that holds what jsonb does not take (\u0000, say) is NULL, and spoils no other.
CREATE FUNCTION crm_upsert_items(p_contacts json) RETURNS jsonb[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    given json;
    items jsonb[] := '{}';
BEGIN
    BEGIN
        RETURN ARRAY(SELECT value FROM jsonb_array_elements(p_contacts::jsonb));
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    END;
    FOR given IN SELECT value FROM json_array_elements(p_contacts) LOOP
        BEGIN
            items := items || ARRAY[given::jsonb];
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            items := items || ARRAY[NULL::jsonb];
        END;
    END LOOP;
    RETURN items;
END $$;

-- A key that is not there leaves the stored value alone, null clears it. Items with one address count in their order.
-- With select_for, contacts that were never selected for these CRMs are, as by an import: who was taken back, or must
-- never be sent, is left alone. `selected` names the CRMs for which this call has queued the contact.
-- Plans as in contacts_insert: one is made while the tables are small, and used on while they grow.
CREATE FUNCTION crm_upsert_contacts(contacts json, select_for text[] DEFAULT '{}')
RETURNS TABLE (ordinal bigint, id uuid, outcome text, problem text, selected text[]) LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    item record;
    stored crm_contacts;
    wanted crm_contacts;
    whole text[];
    ids uuid[] := '{}';
    outcomes text[] := '{}';
    problems text[] := '{}';
    former uuid;
    one_crm text;
    queued_ids uuid[] := '{}';
    queued_crms text[] := '{}';
BEGIN
    IF json_typeof(contacts) <> 'array' THEN
        RAISE EXCEPTION 'Expected a JSON array of contacts.' USING ERRCODE = 'invalid_parameter_value',
              HINT = 'One contact, too, is an array: [{"email": "…"}].';
    END IF;
    SELECT x INTO one_crm FROM unnest(select_for) x WHERE NOT EXISTS (SELECT FROM crm_gates g WHERE g.crm = x) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'There is no CRM named %.', coalesce(one_crm, 'NULL') USING ERRCODE = 'invalid_parameter_value',
              HINT = 'It is one of: ' || (SELECT string_agg(g.crm, ', ' ORDER BY g.crm) FROM crm_gates g) || '.';
    END IF;

    -- In the order of addresses, so that no two calls, nor one and an import, wait for each other.
    FOR item IN SELECT i.position, i.value, crm_upsert_problem(i.value) AS problem
                  FROM unnest(crm_upsert_items(contacts)) WITH ORDINALITY i (value, position)
                 ORDER BY crm_address(i.value ->> 'email'), i.position
    LOOP
        problems[item.position] := item.problem;
        IF item.problem IS NOT NULL THEN
            outcomes[item.position] := 'refused';
            ids[item.position] := NULL;
            CONTINUE;
        END IF;
        LOOP
            SELECT * INTO stored FROM crm_contacts c
             WHERE c.address = crm_address(item.value ->> 'email') FOR NO KEY UPDATE;
            wanted := jsonb_populate_record(stored, item.value - 'email' - 'custom_fields');
            IF stored.name IS NOT NULL AND stored.first_name IS NULL AND stored.last_name IS NULL
               AND item.value ->> 'name' IS NULL AND (wanted.first_name IS NULL) <> (wanted.last_name IS NULL)
               AND NOT item.value ?& ARRAY['first_name', 'last_name']
            THEN
                problems[item.position] := 'first_name, last_name: give both, since only the whole name is known so far.';
                outcomes[item.position] := 'refused';
                ids[item.position] := NULL;
                EXIT;
            END IF;
            whole := crm_upsert_names(stored, wanted, item.value);
            wanted.name := whole[1];
            wanted.first_name := whole[2];
            wanted.last_name := whole[3];
            wanted.custom_fields := crm_upsert_custom_fields(coalesce(stored.custom_fields, '{}'),
                                                             item.value -> 'custom_fields');
            IF stored.id IS NULL THEN
                INSERT INTO crm_contacts AS c (email, name, first_name, last_name,
                                               phone_number, email_type, has_gmail, context, source_url,
                                               source_job_id, domain_id, page_id, custom_fields)
                VALUES (btrim(item.value ->> 'email'), wanted.name, wanted.first_name, wanted.last_name,
                        wanted.phone_number, wanted.email_type, wanted.has_gmail, wanted.context, wanted.source_url,
                        wanted.source_job_id, wanted.domain_id, wanted.page_id, wanted.custom_fields)
                ON CONFLICT DO NOTHING RETURNING c.id INTO stored.id;
                IF NOT FOUND THEN
                    -- Somebody else has just added it; or the former index, in other words than crm_address, refuses it.
                    SELECT c.id INTO former FROM crm_contacts c
                     WHERE lower(btrim(c.email)) = lower(btrim(item.value ->> 'email'))
                       AND c.address IS DISTINCT FROM crm_address(item.value ->> 'email');
                    CONTINUE WHEN NOT FOUND;
                    problems[item.position] := format('email: contact %s has it already, in another spelling.', former);
                    outcomes[item.position] := 'refused';
                    ids[item.position] := NULL;
                    EXIT;
                END IF;
                outcomes[item.position] := 'added';
            ELSIF wanted IS NOT DISTINCT FROM stored THEN
                outcomes[item.position] := 'unchanged';
            ELSE
                UPDATE crm_contacts c SET
                    name = wanted.name, first_name = wanted.first_name, last_name = wanted.last_name,
                    phone_number = wanted.phone_number, email_type = wanted.email_type, has_gmail = wanted.has_gmail,
                    context = wanted.context, source_url = wanted.source_url, source_job_id = wanted.source_job_id,
                    domain_id = wanted.domain_id, page_id = wanted.page_id, custom_fields = wanted.custom_fields
                 WHERE c.id = stored.id;
                IF wanted.name IS DISTINCT FROM stored.name THEN
                    -- A new name beside parts that stay is to the table one that was written alone.
                    UPDATE crm_contacts c SET first_name = wanted.first_name, last_name = wanted.last_name
                     WHERE c.id = stored.id
                       AND (c.first_name, c.last_name) IS DISTINCT FROM (wanted.first_name, wanted.last_name);
                END IF;
                outcomes[item.position] := 'updated';
            END IF;
            ids[item.position] := stored.id;
            EXIT;
        END LOOP;
    END LOOP;

    FOREACH one_crm IN ARRAY coalesce(select_for, '{}') LOOP
        queued_ids := queued_ids || ARRAY(
            SELECT s.contact_id FROM crm_select(one_crm, ARRAY(
                SELECT DISTINCT x FROM unnest(ids) x
                 WHERE NOT EXISTS (SELECT FROM crm_syncs k WHERE k.contact_id = x AND k.crm = one_crm)), true) s
             WHERE s.outcome = 'selected');
        queued_crms := queued_crms || array_fill(one_crm, ARRAY[cardinality(queued_ids) - cardinality(queued_crms)]);
    END LOOP;
    RETURN QUERY
    SELECT r.position, r.id, r.outcome, r.problem, coalesce(q.crms, '{}')
      FROM unnest(ids, outcomes, problems) WITH ORDINALITY r (id, outcome, problem, position)
      LEFT JOIN (SELECT x.id, array_agg(x.crm) AS crms FROM unnest(queued_ids, queued_crms) x (id, crm) GROUP BY x.id) q
        ON q.id = r.id
     ORDER BY r.position;
END $$;
COMMENT ON FUNCTION crm_upsert_contacts(json, text[]) IS 'Adds or changes contacts by address; one row per item of the array.';

-- Whatever a program sends: jsonb, or a text of which the server is told no type.
CREATE FUNCTION crm_upsert_contacts(contacts jsonb, select_for text[] DEFAULT '{}')
RETURNS TABLE (ordinal bigint, id uuid, outcome text, problem text, selected text[]) LANGUAGE sql AS $$
    SELECT * FROM crm_upsert_contacts($1::json, $2)
$$;
CREATE FUNCTION crm_upsert_contacts(contacts text, select_for text[] DEFAULT '{}')
RETURNS TABLE (ordinal bigint, id uuid, outcome text, problem text, selected text[]) LANGUAGE sql AS $$
    SELECT * FROM crm_upsert_contacts($1::json, $2)
$$;

-- One contact. An argument that is left out, or NULL, leaves the stored value alone; `clear` names the fields to be
-- cleared.
CREATE FUNCTION crm_upsert_contact(
    email text,
    name text DEFAULT NULL,
    first_name text DEFAULT NULL,
    last_name text DEFAULT NULL,
    phone_number text DEFAULT NULL,
    email_type text DEFAULT NULL,
    has_gmail boolean DEFAULT NULL,
    context text DEFAULT NULL,
    source_url text DEFAULT NULL,
    source_job_id uuid DEFAULT NULL,
    domain_id uuid DEFAULT NULL,
    page_id uuid DEFAULT NULL,
    custom_fields jsonb DEFAULT NULL,
    clear text[] DEFAULT '{}',
    select_for text[] DEFAULT '{}'
) RETURNS TABLE (id uuid, outcome text, problem text, selected text[]) LANGUAGE sql AS $$
    SELECT u.id, u.outcome, u.problem, u.selected
      FROM crm_upsert_contacts(jsonb_build_array(
          (SELECT coalesce(jsonb_object_agg(given.key, given.value), '{}')
             FROM jsonb_each(jsonb_build_object(
                 'email', crm_upsert_contact.email,
                 'name', crm_upsert_contact.name,
                 'first_name', crm_upsert_contact.first_name,
                 'last_name', crm_upsert_contact.last_name,
                 'phone_number', crm_upsert_contact.phone_number,
                 'email_type', crm_upsert_contact.email_type,
                 'has_gmail', crm_upsert_contact.has_gmail,
                 'context', crm_upsert_contact.context,
                 'source_url', crm_upsert_contact.source_url,
                 'source_job_id', crm_upsert_contact.source_job_id,
                 'domain_id', crm_upsert_contact.domain_id,
                 'page_id', crm_upsert_contact.page_id,
                 'custom_fields', crm_upsert_contact.custom_fields)) given WHERE given.value <> 'null')
          || (SELECT coalesce(jsonb_object_agg(cleared, NULL), '{}') FROM unnest(crm_upsert_contact.clear) cleared)
      ), crm_upsert_contact.select_for) u
$$;
COMMENT ON FUNCTION crm_upsert_contact IS 'Adds a contact, or changes the one that has this address.';
