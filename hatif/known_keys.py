"""Documented keys that no table keeps: known to be sent, so not drift.

A key that is neither read by a table nor named here is reported once, as drift. Source: the
vendor's documents and observations of the live service.
"""

_AUDIT = "creatorId creatorName lastModifierId lastModificationTime creationTime"
_CHANNEL = (
    "icon provider phoneNumberStatus region smartReconnectConfiguration enabled windowMinutes "
    "sipRingTimeoutSeconds fallbackStrategy mobileRingTimeoutSeconds inboundAgentConfiguration "
    "agentId evaluationTemplateId whatsAppInfo providerType sessionInfo sessionName status "
    "lastConnectedAt businessAccountInfo phoneNumberId displayPhoneNumber isActive qualityRating"
)
_USER = "logoUrl workspaceId"
_CONTACT = "contactId notes customProperties"
_CONVERSATION = "contactName contactType phoneNumber channel lastEventPreviewBody tags name type"
_TIMELINE = (
    "repliedToBody assignedUserName assignedAiAgentName assignedByUserName eventId internalThread"
)

#: The keys, as documented; compared without regard to case and underscores.
DOCUMENTED = frozenset(
    " ".join((_AUDIT, _CHANNEL, _USER, _CONTACT, _CONVERSATION, _TIMELINE)).split()
)
