-- Messages of each country: a model of your own on ours.
SELECT
    contacts.country,
    count(*) AS messages,
    count(*) FILTER (messages.is_charged) AS charged_messages
FROM {{ source('hatif_core', 'messages') }} AS messages
LEFT JOIN {{ source('hatif_core', 'contacts') }} AS contacts USING (contact_id)
GROUP BY ALL
